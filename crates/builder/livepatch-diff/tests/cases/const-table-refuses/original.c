static const int weights[] = { 3, 1, 4, 1, 5, 9, 2, 6 };

int weigh(int x)
{
	return weights[x & 7];
}
