// changed: read_one, read_two
static inline int checked(int index)
{
	return index & 7;
}

int read_one(const int *table, int index)
{
	return table[checked(index)];
}

int read_two(const int *table, int index)
{
	return table[checked(index) + 16];
}

int length(void)
{
	return 32;
}
