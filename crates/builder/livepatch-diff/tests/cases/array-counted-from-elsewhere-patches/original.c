static int table[8];

void set(int x, int value)
{
	table[x - 100] = value;
}

int get(int x)
{
	return table[x - 100];
}
