typedef int (*handler)(int);
__attribute__((no_instrument_function, noinline)) static int enter(int x)
{
	return x + 1;
}
const handler handlers[] = { enter };
int call(int x)
{
	return enter(x);
}
