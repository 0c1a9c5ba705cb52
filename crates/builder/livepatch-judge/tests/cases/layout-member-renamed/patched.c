// finding: note layout-changed struct account
// says: 'open' is called 'is_open'
// advises: nothing
# 1 "include/shared.h"
struct account {
	int id;
	long balance;
	char is_open;
};
extern void *kmalloc(unsigned long size);
extern void log_account(struct account *account);
# 1 "unit.c"
long pay(struct account *account, long amount)
{
	account->balance -= amount;
	log_account(account);
	return account->balance;
}
int is_open(struct account *account)
{
	return account->is_open + 1;
}
int id_of(struct account *account)
{
	return account->id;
}
