// finding: refuse layout-changed struct account
// says: 'balance' at 8 is gone
// advises: leave balance in struct account, unused
# 1 "include/shared.h"
struct account {
	int id;
	char open;
};
extern void *kmalloc(unsigned long size);
extern void log_account(struct account *account);
# 1 "unit.c"
int is_open(struct account *account)
{
	return account->open;
}
