// changed: weigh
// carries: total, weights, names
// carries: last
static const int weights[] = { 3, 1, 4, 1, 5, 9, 2, 6 };
static const char *const names[] = { "three", "one" };
static int total;
const char *last;

int weigh(int x)
{
	total += weights[x & 7];
	last = names[x & 1];
	return total;
}
