// changed: greet
// needs: print
int print(const char *format, ...);

void greet(void)
{
	print("good evening\n");
}

void part(void)
{
	print("good night\n");
}
