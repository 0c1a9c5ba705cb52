# 1 "include/flags.h"
struct flags {
	unsigned ready:1;
	unsigned done:1;
};
# 1 "unit.c"
int done(struct flags *flags)
{
	return flags->done;
}
