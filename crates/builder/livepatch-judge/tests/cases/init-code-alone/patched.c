// finding: refuse init-code start
// advises: nothing else in this file changes
// at: 4
extern void setup(int);
__attribute__((section(".init.text"))) int start(void)
{
	setup(2);
	return 0;
}
