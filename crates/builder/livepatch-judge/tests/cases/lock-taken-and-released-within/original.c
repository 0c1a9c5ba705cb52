struct mutex { int m; };
extern void mutex_lock(struct mutex *);
extern void mutex_unlock(struct mutex *);
extern void work(int);
extern struct mutex foo_mutex;
int foo_open(int a)
{
	work(a);
	return 0;
}
