// nothing
struct mutex { int m; };
extern void mutex_lock(struct mutex *);
extern void mutex_unlock(struct mutex *);
extern void work(int);
extern struct mutex foo_mutex;
int foo_open(int a)
{
	mutex_lock(&foo_mutex);
	if (a) {
		goto out;
	}
	work(a);
out:
	mutex_unlock(&foo_mutex);
	return 0;
}
