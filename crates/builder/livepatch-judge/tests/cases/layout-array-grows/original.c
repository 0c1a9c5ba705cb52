# 1 "include/ring.h"
#define SLOTS 8
struct ring {
	int head;
	int slots[SLOTS];
};
# 1 "unit.c"
int next(struct ring *ring)
{
	return ring->slots[ring->head++ % (sizeof(ring->slots) / sizeof(int))];
}
