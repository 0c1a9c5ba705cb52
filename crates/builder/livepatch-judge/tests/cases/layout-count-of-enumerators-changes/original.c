# 1 "include/state.h"
enum state { STATE_NEW, STATE_DONE, __STATE_MAX };
# 1 "unit.c"
int is_valid(enum state state)
{
	return state < __STATE_MAX;
}
