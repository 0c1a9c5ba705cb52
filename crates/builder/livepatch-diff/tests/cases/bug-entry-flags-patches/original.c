#define WARN(flags) asm volatile("1:\tud2\n" \
	"\t.pushsection __bug_table, \"aw\"\n2:\t.long 1b - .\n\t.long %c0 - .\n" \
	"\t.word %c1, %c2\n\t.org 2b + 12\n\t.popsection" \
	: : "i"(__FILE__), "i"(__LINE__), "i"(flags))

void check(int x)
{
	if (x)
		WARN(1);
}

void other(int x)
{
	if (x)
		WARN(1);
}
