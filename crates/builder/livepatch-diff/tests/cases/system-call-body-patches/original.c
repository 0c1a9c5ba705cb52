struct registers { long di, bx; };
int naps;
static const char *types__nap[] = { "int" };
struct metadata { const char *name; const char **types; };
static struct metadata __syscall_meta__nap = { "sys_nap", types__nap };
__attribute__((section("__syscalls_metadata"), used)) static struct metadata *const __p_syscall_meta__nap = &__syscall_meta__nap;
__attribute__((no_instrument_function, noinline)) static long __do_sys_nap(int how)
{
	naps += how;
	return how + 1;
}
long __x64_sys_nap(const struct registers *registers)
{
	return __do_sys_nap((int)registers->di);
}
long __ia32_sys_nap(const struct registers *registers)
{
	return __do_sys_nap((int)registers->bx);
}
