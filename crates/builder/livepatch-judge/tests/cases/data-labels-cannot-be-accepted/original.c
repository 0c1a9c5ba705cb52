extern int step(int);
int run(const unsigned char *code)
{
	static void *labels[] = { &&one, &&two };
	int sum = 0;
	goto *labels[*code];
one:
	sum += step(1);
	goto *labels[*++code];
two:
	return sum;
}
