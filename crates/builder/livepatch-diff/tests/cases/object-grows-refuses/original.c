int slots[4];

int slot(int x)
{
	return slots[x & 3];
}
