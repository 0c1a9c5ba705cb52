// finding: refuse init-code start
// finding: warn once-only start
// says: changes init code (start) together with run
extern void setup(int);
__attribute__((section(".init.text"))) int start(void)
{
	setup(2);
	return 0;
}
int run(int a)
{
	return a + 1;
}
