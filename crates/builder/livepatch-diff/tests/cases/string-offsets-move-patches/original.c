int print(const char *format, ...);

void first(void)
{
	print("one\n");
}

void second(void)
{
	print("two\n");
	print("three\n");
}
