int print(const char *format, ...);

void greet(void)
{
	print("good morning\n");
}

void part(void)
{
	print("good night\n");
}
