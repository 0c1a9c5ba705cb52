struct parameters {
	int a;
	int b;
};
extern void use(void *);
int run(int a)
{
	struct parameters parameters = { a, a + 1 };
	struct parameters *pointer = &parameters;
	use(pointer);
	return pointer->b;
}
