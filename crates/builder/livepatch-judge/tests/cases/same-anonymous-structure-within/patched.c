// nothing
struct outer {
	struct {
		int a;
		union { int b; float c; };
	} inner;
	struct { int d; };
};
int f(struct outer *outer)
{
	return outer->inner.b - outer->d;
}
