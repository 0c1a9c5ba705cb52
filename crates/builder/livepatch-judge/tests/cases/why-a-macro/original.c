#define LIMIT 4
int f(int a)
{
	return a > LIMIT;
}
