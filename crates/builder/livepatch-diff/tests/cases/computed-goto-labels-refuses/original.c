int run(const unsigned char *program, int x)
{
	static const void *const labels[] = { &&stop, &&up, &&down };

	goto *labels[*program++ & 3];
up:
	x += 1;
	goto *labels[*program++ & 3];
down:
	x -= 1;
	goto *labels[*program++ & 3];
stop:
	return x;
}
