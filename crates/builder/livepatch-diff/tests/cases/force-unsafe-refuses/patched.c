// refused: force-unsafe here
int here(int x)
{
	return x + 2;
}
__attribute__((section(".kpatch.force"), used)) static void *force_here = here;
