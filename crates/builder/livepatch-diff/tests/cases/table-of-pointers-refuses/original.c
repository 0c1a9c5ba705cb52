static int read_it(int x)
{
	return x + 1;
}

static int write_it(int x)
{
	return x + 2;
}

int (*const operations[])(int) = { read_it, write_it };
