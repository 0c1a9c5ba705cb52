// finding: refuse layout-changed struct operations
// says: 'open' changes from 'int (*open)(int)' to 'int (*open)(int, long int)'
// advises: functions that are registered in other modules
# 1 "include/operations.h"
struct operations {
	int (*open)(int, long);
};
# 1 "unit.c"
int start(struct operations *operations)
{
	return operations->open(1, 2);
}
