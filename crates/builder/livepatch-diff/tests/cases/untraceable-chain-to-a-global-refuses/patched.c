// refused: untraceable outer
int count;
__attribute__((no_instrument_function, noinline)) static int inner(int x)
{
	count += x;
	return x + 2;
}
__attribute__((no_instrument_function)) int outer(int x)
{
	return inner(x) - count;
}
