int print(const char *format, ...);

int alone(int x)
{
	return x;
}

int once(int x)
{
	static _Bool __already_done;

	if (x < 0 && !__already_done) {
		__already_done = 1;
		print("%s: negative\n", __func__);
	}
	return x;
}
