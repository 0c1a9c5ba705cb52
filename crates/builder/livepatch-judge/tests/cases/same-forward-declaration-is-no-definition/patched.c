// nothing
struct thing { int a; };
extern int of(struct thing *);
int f(struct thing *thing)
{
	return of(thing) + thing->a;
}
