// finding: warn lock-asymmetry foo_open/mutex
// finding: warn lock-asymmetry foo_release/mutex
// says: 'foo_open' takes and does not release a mutex now; before, it did not touch one; the other half is in foo_release (mutex_lock(&foo_mutex))
// at: 8
struct mutex { int m; };
extern void mutex_lock(struct mutex *);
extern void mutex_unlock(struct mutex *);
extern void work(int);
extern struct mutex foo_mutex;
int foo_open(int a)
{
	mutex_lock(&foo_mutex);
	work(a);
	return 0;
}
int foo_release(int a)
{
	work(-a);
	mutex_unlock(&foo_mutex);
	return 0;
}
