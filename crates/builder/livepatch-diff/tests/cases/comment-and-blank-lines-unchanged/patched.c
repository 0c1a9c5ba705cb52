// unchanged
/* Doubles. */
int twice(int x)
{

	return 2 * x;	/* no overflow here */
}


int thrice(int x)
{
	return 3 * x;
}
