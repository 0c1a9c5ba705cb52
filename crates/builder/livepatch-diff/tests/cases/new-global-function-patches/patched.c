// added: lookup_checked
// needs: lookup
__attribute__((noinline)) int lookup(int key)
{
	asm volatile("");
	return key * 7;
}

int lookup_checked(int key)
{
	return key >= 0 ? lookup(key) : -22;
}
