extern void work(int);
int worker_thread(void *data)
{
	for (;;)
		work(1);
}
int do_sys_poll(int a)
{
	work(1);
	return a;
}
