// refused: section-moved enter
__attribute__((section(".noinstr.text"))) int enter(int x)
{
	return x + 1;
}
