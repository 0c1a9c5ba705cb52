void register_it(int (*)(int));
__attribute__((no_instrument_function, noinline)) static int enter(int x)
{
	return x + 1;
}
int call(int x)
{
	
	return enter(x) * 3;
}
