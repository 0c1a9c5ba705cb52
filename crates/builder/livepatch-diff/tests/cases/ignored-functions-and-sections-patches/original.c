int level, depth;
__attribute__((section("__param"), used)) static int *const parameter_level = &level;
int there(int x)
{
	return x - 1;
}
int here(int x)
{
	return x + 1;
}
