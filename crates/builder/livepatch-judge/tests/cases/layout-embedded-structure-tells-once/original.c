# 1 "include/outer.h"
struct inner { int a; };
struct outer {
	struct inner inner;
	int b;
};
# 1 "unit.c"
int sum(struct outer *outer)
{
	return outer->inner.a + outer->b;
}
