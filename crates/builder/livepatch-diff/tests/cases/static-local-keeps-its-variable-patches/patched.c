// changed: count
// added: sample
// carries: seen
// needs: calls.0
int sample(int by)
{
	static int seen;

	seen += by;
	return seen;
}

int count(int by)
{
	static int calls;

	calls += by + 1;
	return calls;
}
