extern int use(int);
static inline __attribute__((always_inline)) int inner(int a)
{
	return use(a);
}
int f(int a)
{
	return inner(a);
}
