struct event { int id; };
struct event event_old = { 1 };
__attribute__((section("_ftrace_events"), used)) static struct event *const __event_old = &event_old;
