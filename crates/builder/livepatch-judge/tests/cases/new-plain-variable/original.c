extern int work(int);
int f(int a)
{
	return work(a);
}
