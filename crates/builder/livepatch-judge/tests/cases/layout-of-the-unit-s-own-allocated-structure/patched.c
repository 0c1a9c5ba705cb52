// finding: refuse layout-changed struct context
// says: size 8 → 12
struct context {
	int a;
	int b;
	int c;
};
extern void *kmalloc(unsigned long);
void *make(int a)
{
	struct context *context = kmalloc(sizeof(*context));
	context->a = a;
	context->c = a;
	return context;
}
