// changed: here
struct event { int id; };
static struct event event_enter__old = { 1 };
static struct event event_enter__new = { 2 };
__attribute__((section("_ftrace_events"), used)) static struct event *const __event_enter__old = &event_enter__old;
__attribute__((section("_ftrace_events"), used)) static struct event *const __event_enter__new = &event_enter__new;
long here(int x)
{
	return x + 2;
}
