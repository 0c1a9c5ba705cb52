// changed: sum.isra.0
// needs: weigh
struct pair {
	long a;
	long b;
};
long weigh(long x);

static __attribute__((noinline)) long sum(struct pair *pair)
{
	return weigh(pair->a) * 5;
}

long run(struct pair *pair)
{
	return sum(pair) + 1;
}

long walk(struct pair *pair)
{
	return sum(pair) + pair->b;
}
