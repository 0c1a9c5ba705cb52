struct device { int features; };
struct driver { int (*probe)(struct device *); int (*remove)(struct device *); };
extern void put(struct driver *);
static int foo_probe(struct device *device)
{
	device->features = 3;
	return 0;
}
static struct driver foo_driver = { foo_probe };
void publish(void)
{
	put(&foo_driver);
}
