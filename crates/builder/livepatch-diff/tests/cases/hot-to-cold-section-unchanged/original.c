int enter(int x)
{
	return x + 1;
}
