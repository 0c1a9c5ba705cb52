struct pair {
	int a;
	int b;
};

static __attribute__((noinline)) int sum(struct pair *pair, int times)
{
	asm volatile("");
	return pair->a * times;
}

int run(struct pair *pair)
{
	return sum(pair, 3);
}

int walk(struct pair *pair)
{
	return sum(pair, 3) + pair->b;
}
