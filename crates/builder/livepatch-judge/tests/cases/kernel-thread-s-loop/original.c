extern void *kthread_create_on_node(int (*)(void *), void *, int, const char *, ...);
extern int kthread_should_stop(void);
extern void work(int);
static int worker(void *data)
{
	while (!kthread_should_stop())
		work(1);
	return 0;
}
void *start(void)
{
	return kthread_create_on_node(worker, 0, -1, "worker");
}
