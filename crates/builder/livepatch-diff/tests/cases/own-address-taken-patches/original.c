void watch(int (*handler)(int));

int handler(int x)
{
	watch(handler);
	return x + 1;
}
