// changed: here
// added: added
// noticed: export-added added
int here(int x)
{
	return x + 2;
}
int added(int x) { return x * 9; }
asm(".section \"___ksymtab+added\", \"a\"\n__ksymtab_added: .long added - .\n.previous\n");
