// finding: warn layout-changed struct parameters
// says: only changed functions have objects of it, on their stacks
struct parameters {
	int a;
	long b;
};
extern void use(void *);
int run(int a)
{
	struct parameters parameters = { a, a + 1 };
	struct parameters *pointer = &parameters;
	use(pointer);
	return pointer->b;
}
