__attribute__((no_instrument_function)) int enter(int x)
{
	return x + 1;
}
