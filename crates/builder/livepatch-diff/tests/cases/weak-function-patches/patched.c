// changed: permitted
__attribute__((weak)) int permitted(int x)
{
	return x + 2;
}
