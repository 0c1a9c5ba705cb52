static int parse(int x) asm("parse.constprop.0");
static int print(int x) asm("print.isra.1");

static __attribute__((noinline)) int parse(int x)
{
	asm volatile("");
	return x + 1;
}

static __attribute__((noinline)) int print(int x)
{
	asm volatile("");
	return x + 2;
}

int run(int x)
{
	return parse(x) ^ print(x);
}

int other(int x)
{
	return print(x);
}
