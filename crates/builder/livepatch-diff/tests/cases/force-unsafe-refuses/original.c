int here(int x)
{
	return x + 1;
}
