// finding: warn layout-changed struct holder
// says: 'what' changes from 'struct old *what' to 'struct new *what'
# 1 "include/holder.h"
struct old { int a; };
struct new { int a; };
struct holder {
	struct new *what;
};
# 1 "unit.c"
int value(struct holder *holder)
{
	return holder->what->a + 1;
}
int other(struct new *new, struct old *old)
{
	return new->a + old->a;
}
