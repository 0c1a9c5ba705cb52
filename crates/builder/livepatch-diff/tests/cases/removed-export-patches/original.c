int here(int x)
{
	return x + 1;
}
asm(".section \"___ksymtab+here\", \"a\"\n__ksymtab_here: .long here - .\n.previous\n");
