// changed: alone
static const int *choose(int x)
{
	static const int table[] = { 1, 2, 3, 4 };

	return x ? table + 1 : table;
}

int pick(int x, int y)
{
	static const int table[] = { 5, 6, 7, 8 };

	return table[x & 3] + choose(y)[x & 1];
}

int alone(int x)
{
	return x + 1;
}
