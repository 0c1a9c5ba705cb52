int count(int by)
{
	static int calls;

	calls += by;
	return calls;
}
