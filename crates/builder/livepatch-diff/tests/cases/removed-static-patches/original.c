static __attribute__((noinline)) int bonus(int x)
{
	asm volatile("");
	return x + 5;
}

int weigh(int x)
{
	return bonus(x);
}
