__attribute__((section(".init.text"))) int start(void)
{
	return 1;
}
