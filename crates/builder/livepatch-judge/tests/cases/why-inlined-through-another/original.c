extern int use(int);
static inline __attribute__((always_inline)) int inner(int a)
{
	return use(a);
}

static inline __attribute__((always_inline)) int outer(int a)
{
	return inner(a) * 2;
}
int f(int a)
{
	return outer(a);
}
