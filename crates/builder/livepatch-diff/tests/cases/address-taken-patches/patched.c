// changed: handler, setup
// needs: handler, watch
void watch(int (*handler)(int));

__attribute__((noinline)) int handler(int x)
{
	asm volatile("nop");
	return x + 2;
}

void setup(void)
{
	handler(2);
	watch(handler);
}
