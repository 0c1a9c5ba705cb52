// finding: note new-state-in-existing-object seen
extern int work(int);
static int seen;
int f(int a)
{
	seen += a;
	return work(seen);
}
