extern void put(const int *, int);
static const int table[] = { 1, 2 };
void publish(void)
{
	put(table, 2);
}
