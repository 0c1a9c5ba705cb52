// changed: first
// needs: print
int print(const char *format, ...);

void first(void)
{
	print("a much longer text than before\n");
	print("and another\n");
}

void second(void)
{
	print("two\n");
	print("three\n");
}
