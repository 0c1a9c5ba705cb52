int place;
static long __do_sys_here(const void *unused);
long __x64_sys_here(const void *unused) __attribute__((alias("__do_sys_here")));
long __ia32_sys_here(const void *unused) __attribute__((alias("__do_sys_here")));
static long __do_sys_here(const void *unused)
{
	return place + 1;
}
