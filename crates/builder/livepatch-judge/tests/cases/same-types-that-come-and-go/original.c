struct gone { int x; };
int f(void *p)
{
	return ((struct gone *)p)->x;
}
