// finding: refuse layout-changed struct flags
// says: new member 'unsigned int seen' at 0 bit 1
// says: 'done' moves 0 bit 1 → 0 bit 2
# 1 "include/flags.h"
struct flags {
	unsigned ready:1;
	unsigned seen:1;
	unsigned done:1;
};
# 1 "unit.c"
int done(struct flags *flags)
{
	return flags->done;
}
