// nothing
#define EXPORT_SYMBOL(f) const int __ksymtab_##f __attribute__((section("___ksymtab+" #f), used)) = 1
int join(char *a)
{
	return *a + 2;
}
EXPORT_SYMBOL(join);
