// finding: warn lock-asymmetry count/spinlock
struct lock { volatile int l; };
extern void _raw_spin_lock_bh(struct lock *);
static inline __attribute__((always_inline)) void spin_unlock_bh(struct lock *lock)
{
	lock->l = 0;
}
extern struct lock lock;
extern int counter;
int count(int a)
{
	_raw_spin_lock_bh(&lock);
	counter += a;
	return 0;
}
