// changed: enter
// carried: enter
// redirected: call, other
// needs: count
// noticed: through-callers enter
int count;
__attribute__((no_instrument_function, noinline)) static int enter(int x)
{
	count += x;
	return x + 2;
}
int call(int x)
{
	return enter(x) * 3;
}
int other(int x)
{
	return enter(x) - 7;
}
int third(int x)
{
	return x;
}
