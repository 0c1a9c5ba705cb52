__attribute__((cold)) void fail(int code);

int check(int x)
{
	if (__builtin_expect(x < 0, 0)) {
		fail(22);
		fail(x);
		return -22;
	}
	return 3 * x;
}
