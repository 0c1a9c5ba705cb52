// finding: warn new-state-in-existing-object counter_lock
// says: is a new lock (spinlock_t counter_lock)
// at: 7
typedef struct spinlock { int l; } spinlock_t;
extern void spin_lock(spinlock_t *);
extern void spin_unlock(spinlock_t *);
extern long counter;
struct users_of_the_lock { spinlock_t lock; } unused;

static spinlock_t counter_lock;
long fetch(void)
{
	long value;

	spin_lock(&counter_lock);
	value = counter;
	spin_unlock(&counter_lock);
	return value;
}
spinlock_t *get_unused(void)
{
	return &unused.lock;
}
