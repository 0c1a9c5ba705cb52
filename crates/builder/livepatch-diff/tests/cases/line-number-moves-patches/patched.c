// changed: half
// needs: report
void report(const char *file, int line);

/* Rounds towards zero. */

int half(int x)
{
	if (x & 1)
		report(__FILE__, __LINE__);
	return x / 2;
}
