// changed: work
// entries: __jump_table 1
// needs: trace, tracing
struct key {
	int enabled;
};
extern struct key tracing;
void trace(int x);

static inline __attribute__((always_inline)) _Bool enabled(struct key *const key)
{
	asm goto("1:\tjmp %l[yes]\n"
		"\t.pushsection __jump_table, \"aw\"\n\t.balign 8\n"
		"\t.long 1b - ., %l[yes] - .\n\t.quad %c0 - .\n\t.popsection"
		: : "i"(key) : : yes);
	return 0;
yes:
	return 1;
}

int work(int x)
{
	if (enabled(&tracing))
		trace(x);
	return x + 2;
}

int idle(int x)
{
	if (enabled(&tracing))
		trace(0);
	return x;
}
