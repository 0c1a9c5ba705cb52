// added: lookup_checked
// needs: lookup
int lookup(int key)
{
	return key * 7;
}

int lookup_checked(int key)
{
	return key >= 0 ? lookup(key) : -22;
}
