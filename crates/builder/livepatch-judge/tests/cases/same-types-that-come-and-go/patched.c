// nothing
struct come { int w; int x; };
int f(void *p)
{
	return ((struct come *)p)->x;
}
