int limit = 5;
struct klp_object;
int here(int x)
{
	return x + 1;
}
