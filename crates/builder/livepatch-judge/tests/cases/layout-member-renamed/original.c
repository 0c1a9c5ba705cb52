# 1 "include/shared.h"
struct account {
	int id;
	long balance;
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
