struct pair {
	long a;
	long b;
};
void record(long x);

static long spend(struct pair *pair)
{
	if (!pair)
		return 0;
	record(pair->a);
	record(pair->b);
	record(pair->a + pair->b);
	record(pair->a - pair->b);
	record(pair->a * pair->b);
	record(pair->a & pair->b);
	return pair->a + 1;
}

long buy(struct pair *p)
{
	return spend(p) + 1;
}

long sell(struct pair *p)
{
	return spend(p) + 2;
}

long swap(struct pair *p)
{
	return spend(p) + 3;
}
