int count(int up, int by)
{
	if (up) {
		static int calls;

		calls += by;
		return calls;
	} else {
		static int calls;

		calls -= by;
		return calls;
	}
}
