// finding: refuse layout-changed struct account
// says: 'balance' changes from 'long int balance' to 'int balance'
# 1 "include/shared.h"
struct account {
	int id;
	int balance;
	char open;
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
	return account->open;
}
int id_of(struct account *account)
{
	return account->id;
}
