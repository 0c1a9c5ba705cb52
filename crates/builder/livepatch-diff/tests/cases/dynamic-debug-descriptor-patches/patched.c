// changed: work
// needs: say
// carries: __UNIQUE_ID_ddebug, __func__
// entries: __jump_table 1
struct key {
	int enabled;
};
struct descriptor {
	const char *function;
	const char *format;
	int line;
	struct key key;
};
void say(struct descriptor *descriptor, long x);

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

#define debug(format, x) do {								\
	static struct descriptor __attribute__((section("__dyndbg"), aligned(8)))	\
		__UNIQUE_ID_ddebug = { __func__, format, __LINE__ };			\
	if (enabled(&__UNIQUE_ID_ddebug.key))						\
		say(&__UNIQUE_ID_ddebug, x);						\
} while (0)

long work(long x)
{
	debug("work %ld", x);
	return x + 2;
}

long idle(long x)
{
	debug("idle %ld", x);
	return x;
}
