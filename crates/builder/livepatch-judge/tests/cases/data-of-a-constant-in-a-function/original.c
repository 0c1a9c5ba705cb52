int pick(int i)
{
	static const int table[] = { 1, 2, 3 };
	return table[i];
}
