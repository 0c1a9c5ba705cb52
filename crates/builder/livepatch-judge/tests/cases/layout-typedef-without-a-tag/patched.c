// finding: refuse layout-changed pair_t
// says: size 8 → 16
# 1 "include/pair.h"
typedef struct {
	long a;
	int b;
} pair_t;
# 1 "unit.c"
int second(pair_t *pair)
{
	return pair->b;
}
