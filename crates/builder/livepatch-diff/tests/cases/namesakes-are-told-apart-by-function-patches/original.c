int first(int by)
{
	static int calls;

	calls += by;
	return calls;
}

int second(int by)
{
	static int calls;

	calls ^= by;
	return calls;
}
