// finding: note layout-changed struct account
# 1 "include/shared.h"
struct account {
	int id;
	long balance;
	char open;
	char seen;
};
extern void *kmalloc(unsigned long size);
extern void log_account(struct account *account);
# 1 "unit.c"
int id(struct account *account)
{
	return account->id;
}
