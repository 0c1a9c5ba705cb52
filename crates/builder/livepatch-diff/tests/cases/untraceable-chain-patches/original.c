int count;
__attribute__((no_instrument_function, noinline)) static int inner(int x)
{
	count += x;
	return x + 1;
}
__attribute__((no_instrument_function, noinline)) static int outer(int x)
{
	return inner(x) - count;
}
int call(int x)
{
	return outer(x) * 3;
}
