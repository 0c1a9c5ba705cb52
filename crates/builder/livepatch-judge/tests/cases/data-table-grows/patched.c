// finding: refuse data-changed table
// says: table[2]: (not there) → 3
// advises: no room
extern void put(const int *, int);
static const int table[] = { 1, 2, 3 };
void publish(void)
{
	put(table, 2);
}
