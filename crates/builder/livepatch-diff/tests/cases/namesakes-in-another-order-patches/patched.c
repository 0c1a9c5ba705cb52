// changed: first
// needs: calls.1
int second(int by)
{
	static int calls;

	calls ^= by;
	return calls;
}

int first(int by)
{
	static int calls;

	calls += by + 1;
	return calls;
}
