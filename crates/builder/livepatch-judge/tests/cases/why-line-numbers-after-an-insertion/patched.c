// why: f: inlines inner at unit.c:10, edited at unit.c:4
extern int use(int);
static inline __attribute__((always_inline)) int inner(int a)
{
	if (a < 0)
		return 0;
	return use(a);
#line 5
}
int f(int a)
{
	return inner(a);
}
