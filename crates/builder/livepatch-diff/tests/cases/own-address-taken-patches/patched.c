// changed: handler
// needs: handler, watch
void watch(int (*handler)(int));

int handler(int x)
{
	watch(handler);
	return x + 2;
}
