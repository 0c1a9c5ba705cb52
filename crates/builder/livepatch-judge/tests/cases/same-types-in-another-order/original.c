struct a { int x; };
struct b { long y; };
struct ab { struct a a; struct b b; };
int f(struct ab *ab)
{
	return ab->a.x;
}
