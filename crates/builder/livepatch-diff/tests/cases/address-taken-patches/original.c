void watch(int (*handler)(int));

__attribute__((noinline)) int handler(int x)
{
	return x + 1;
}

void setup(void)
{
	handler(1);
	watch(handler);
}
