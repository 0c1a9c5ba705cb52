// changed: here
// noticed: passed-over there, passed-over __param
int level, depth;
__attribute__((section("__param"), used)) static int *const parameter_level = &level;
__attribute__((section("__param"), used)) static int *const parameter_depth = &depth;
int there(int x)
{
	return x - 2;
}
int here(int x)
{
	return x + 2;
}
__attribute__((section(".kpatch.ignore.functions"), used)) static void *ignore_there = there;
__attribute__((section(".kpatch.ignore.sections"), used)) static char *ignore_param = "__param";
