// why: f: uses the macro LIMIT at unit.c:4, edited at unit.c:1
#define LIMIT 5
int f(int a)
{
	return a > LIMIT;
}
