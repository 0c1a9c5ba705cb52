// finding: refuse data-changed bus
// says: bus.shutdown: NULL → stop
// advises: set bus.shutdown in a pre-patch callback
// attaches: 	bus.shutdown = stop;
// attaches: 	bus.shutdown = NULL;
// attaches: KLP_PRE_PATCH_CALLBACK(set_bus);
struct bus { const char *name; void (*probe)(void); void (*shutdown)(void); };
extern void start(void);
extern void stop(void);
extern void put(struct bus *);
static struct bus bus = { "bus", start, stop };
void publish(void)
{
	put(&bus);
}
