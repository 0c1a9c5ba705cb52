// finding: refuse layout-changed struct ring
// says: size 36 → 68
// says: 'slots' changes from 'int slots[8]' to 'int slots[16]'
# 1 "include/ring.h"
#define SLOTS 16
struct ring {
	int head;
	int slots[SLOTS];
};
# 1 "unit.c"
int next(struct ring *ring)
{
	return ring->slots[ring->head++ % (sizeof(ring->slots) / sizeof(int))];
}
