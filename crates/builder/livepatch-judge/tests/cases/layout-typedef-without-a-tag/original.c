# 1 "include/pair.h"
typedef struct {
	int a;
	int b;
} pair_t;
# 1 "unit.c"
int second(pair_t *pair)
{
	return pair->b;
}
