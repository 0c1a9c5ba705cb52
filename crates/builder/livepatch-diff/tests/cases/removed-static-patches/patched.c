// changed: weigh
// removed: bonus
int weigh(int x)
{
	return x;
}
