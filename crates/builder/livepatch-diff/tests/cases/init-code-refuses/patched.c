// refused: init-code start
__attribute__((section(".init.text"))) int start(void)
{
	return 2;
}
