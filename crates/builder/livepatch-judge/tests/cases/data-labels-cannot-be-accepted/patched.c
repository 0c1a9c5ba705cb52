// finding: refuse data-changed labels.0
// says: leads into the old code of run
extern int step(int);
int run(const unsigned char *code)
{
	static void *labels[] = { &&one, &&two };
	int sum = 0;
	goto *labels[*code];
one:
	sum += step(2) * 3;
	goto *labels[*++code];
two:
	return sum;
}
