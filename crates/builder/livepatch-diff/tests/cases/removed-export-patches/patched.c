// changed: here
// noticed: export-removed here
int here(int x)
{
	return x + 2;
}
