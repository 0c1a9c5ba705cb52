// nothing
struct b { long y; };
struct more { char c[3]; };
struct a { int x; };
struct ab { struct a a; struct b b; };
int f(struct ab *ab)
{
	return ab->a.x + sizeof(struct more);
}
