// finding: refuse exported-contract join
// says: from 'int join(int)' to 'int join(int, long int)'
// at: 2
#define EXPORT_SYMBOL(f) const int __ksymtab_##f __attribute__((section("___ksymtab+" #f), used)) = 1
int join(int a, long b)
{
	return a + b;
}
EXPORT_SYMBOL(join);
