#define LOAD(to, from) asm volatile("1:\tmov %1, %0\n2:\n" \
	"\t.pushsection __ex_table, \"a\"\n\t.long 1b - ., 2b - ., 3\n\t.popsection" \
	: "=r"(to) : "m"(*(from)))

int one(int *from)
{
	int value;

	LOAD(value, from);
	return value;
}

int two(int *from)
{
	int value, more;

	LOAD(value, from);
	LOAD(more, from + 1);
	return value + more;
}

int three(int *from)
{
	int value;

	LOAD(value, from);
	return value + 3;
}
