typedef struct spinlock { int l; } spinlock_t;
extern void spin_lock(spinlock_t *);
extern void spin_unlock(spinlock_t *);
extern long counter;
struct users_of_the_lock { spinlock_t lock; } unused;

long fetch(void)
{
	return counter;
}
spinlock_t *get_unused(void)
{
	return &unused.lock;
}
