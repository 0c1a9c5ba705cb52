// finding: warn sleeps-forever worker_thread
// finding: note sleeps-forever do_sys_poll
extern void work(int);
int worker_thread(void *data)
{
	for (;;)
		work(2);
}
int do_sys_poll(int a)
{
	work(2);
	return a;
}
