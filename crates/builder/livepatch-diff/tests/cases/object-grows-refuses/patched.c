// refused: data-changed slots
int slots[8];

int slot(int x)
{
	return slots[x & 3];
}
