int limit(int size)
{
	return size > 64 ? 64 : size;
}

int other(int size)
{
	return size + 1;
}
