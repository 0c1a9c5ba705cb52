__attribute__((weak)) int permitted(int x)
{
	return x + 1;
}
