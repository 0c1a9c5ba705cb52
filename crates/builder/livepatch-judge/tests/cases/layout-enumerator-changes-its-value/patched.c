// finding: refuse layout-changed enum state
// says: STATE_DONE 1 → 2
# 1 "include/state.h"
enum state { STATE_NEW, STATE_BUSY, STATE_DONE };
# 1 "unit.c"
int is_done(enum state state)
{
	return state == STATE_DONE;
}
