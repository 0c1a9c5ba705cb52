// refused: section-changed _ftrace_events
struct event { int id; };
struct event event_old = { 1 };
__attribute__((section("_ftrace_events"), used)) static struct event *const __event_old = &event_old;
struct event event_meeting = { 2 };
__attribute__((section("_ftrace_events"), used)) static struct event *const __event_meeting = &event_meeting;
