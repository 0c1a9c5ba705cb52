// finding: refuse data-changed settings
// says: settings.name: "old" → "new"
// says: settings.text: "one" → "two"
// says: settings.level: LOW → HIGH
// says: and 4 more
enum level { LOW, HIGH = 7 };
struct settings { char name[8]; const char *text; enum level level; unsigned a:3; unsigned b:5; signed char minus; long numbers[2][2]; int *pointer; };
int x, y[4];
extern void put(struct settings *);
struct settings settings = { "new", "two", HIGH, 1, 3, -2, { { 1, 2 }, { 5, 4 } }, &y[1] };
void publish(void)
{
	put(&settings);
}
