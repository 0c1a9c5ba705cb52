struct event { int id; };
static struct event event_enter__old = { 1 };
__attribute__((section("_ftrace_events"), used)) static struct event *const __event_enter__old = &event_enter__old;
long here(int x)
{
	return x + 1;
}
