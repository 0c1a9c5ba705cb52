// changed: first
// added: second
// carries: calls
// needs: calls.0
int first(int by)
{
	static int calls;

	calls += by + 1;
	return calls;
}

int second(int by)
{
	static int calls;

	calls ^= by;
	return calls;
}
