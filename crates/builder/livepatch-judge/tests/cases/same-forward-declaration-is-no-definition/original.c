struct thing;
extern int of(struct thing *);
int f(struct thing *thing)
{
	return of(thing);
}
