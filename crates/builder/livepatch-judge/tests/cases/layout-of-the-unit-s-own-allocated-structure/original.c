struct context {
	int a;
	int b;
};
extern void *kmalloc(unsigned long);
void *make(int a)
{
	struct context *context = kmalloc(sizeof(*context));
	context->a = a;
	return context;
}
