// finding: refuse data-changed table.0
// advises: its users (pick)
int pick(int i)
{
	static const int table[] = { 1, 2, 4 };
	return table[i];
}
