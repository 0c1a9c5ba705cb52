// why: f: inlines outer at unit.c:13, which inlines inner at unit.c:9, edited at unit.c:4
extern int use(int);
static inline __attribute__((always_inline)) int inner(int a)
{
	return use(a + 1);
}

static inline __attribute__((always_inline)) int outer(int a)
{
	return inner(a) * 2;
}
int f(int a)
{
	return outer(a);
}
