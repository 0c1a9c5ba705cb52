// refused: data-changed limit
int limit = 32;

int clip(int x)
{
	return x > limit ? limit : x;
}
