# 1 "include/operations.h"
struct operations {
	int (*open)(int);
};
# 1 "unit.c"
int start(struct operations *operations)
{
	return operations->open(1);
}
