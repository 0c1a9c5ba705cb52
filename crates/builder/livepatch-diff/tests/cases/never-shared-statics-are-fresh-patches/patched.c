// changed: once
// carries: __already_done, __func__
// needs: print
int print(const char *format, ...);

int once(int x)
{
	static _Bool __already_done;

	if (x <= 0 && !__already_done) {
		__already_done = 1;
		print("%s: negative\n", __func__);
	}
	return x;
}
