// finding: warn half-fix is_valid
// says: the patch adds 'is_valid', which nothing in the patched files calls
static int is_valid(int a)
{
	return a > 0;
}

int f(int a)
{
	return a + 1;
}
