struct bus { const char *name; void (*probe)(void); void (*shutdown)(void); };
extern void start(void);
extern void stop(void);
extern void put(struct bus *);
static struct bus bus = { "bus", start };
void publish(void)
{
	put(&bus);
}
