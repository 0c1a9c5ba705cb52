// unchanged
void report(const char *file, int line);

/*
 * Rounds towards zero.
 */
#line 3
int half(int x)
{
	if (x & 1)
		report(__FILE__, __LINE__);
	return x / 2;
}
