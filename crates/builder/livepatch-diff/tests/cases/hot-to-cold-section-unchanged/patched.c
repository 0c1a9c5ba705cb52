// unchanged
__attribute__((section(".text.unlikely.enter"))) int enter(int x)
{
	return x + 1;
}
