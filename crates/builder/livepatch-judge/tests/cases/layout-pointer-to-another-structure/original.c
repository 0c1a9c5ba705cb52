# 1 "include/holder.h"
struct old { int a; };
struct new { int a; };
struct holder {
	struct old *what;
};
# 1 "unit.c"
int value(struct holder *holder)
{
	return holder->what->a;
}
int other(struct new *new, struct old *old)
{
	return new->a + old->a;
}
