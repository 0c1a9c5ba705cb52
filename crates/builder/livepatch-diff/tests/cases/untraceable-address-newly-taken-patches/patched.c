// changed: enter, call
// carried: enter
// redirected: call
// needs: register_it
// noticed: through-callers enter
void register_it(int (*)(int));
__attribute__((no_instrument_function, noinline)) static int enter(int x)
{
	return x + 2;
}
int call(int x)
{
	register_it(enter);
	return enter(x) * 3;
}
