// changed: lookup
// added: valid
static __attribute__((noinline)) int valid(int key)
{
	asm volatile("");
	return key >= 0;
}

int lookup(int key)
{
	return valid(key) ? key * 7 : -22;
}
