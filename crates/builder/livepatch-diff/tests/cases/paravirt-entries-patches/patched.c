// changed: work
// needs: hooks
// entries: .parainstructions 2
extern void *hooks[4];

static inline long hook(long x)
{
	long result;

	asm volatile("771:\tcall *%c1\n772:\n"
		"\t.pushsection .parainstructions, \"a\"\n\t.balign 8\n"
		"\t.quad 771b\n\t.byte 2\n\t.byte 772b - 771b\n\t.balign 8\n\t.popsection"
		: "=a"(result) : "i"(&hooks[2]), "D"(x) : "memory");
	return result;
}

long work(long x)
{
	return hook(x) + hook(x + 2);
}

long idle(long x)
{
	return hook(x);
}
