enum level { LOW, HIGH = 7 };
struct settings { char name[8]; const char *text; enum level level; unsigned a:3; unsigned b:5; signed char minus; long numbers[2][2]; int *pointer; };
int x, y[4];
extern void put(struct settings *);
struct settings settings = { "old", "one", LOW, 1, 2, -1, { { 1, 2 }, { 3, 4 } }, &x };
void publish(void)
{
	put(&settings);
}
