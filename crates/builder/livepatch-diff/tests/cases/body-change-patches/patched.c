// changed: limit
int limit(int size)
{
	return size > 32 ? 32 : size;
}

int other(int size)
{
	return size + 1;
}
