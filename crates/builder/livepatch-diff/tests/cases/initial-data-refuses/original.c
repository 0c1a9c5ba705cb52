int limit = 64;

int clip(int x)
{
	return x > limit ? limit : x;
}
