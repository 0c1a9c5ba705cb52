extern void setup(int);
__attribute__((section(".init.text"))) int start(void)
{
	setup(1);
	return 0;
}
