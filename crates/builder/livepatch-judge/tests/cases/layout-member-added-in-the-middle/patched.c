// finding: refuse layout-changed struct account
// says: new member 'int limit' at 16, 'open' moves 16 → 20
// says: used here by id_of, which stay as they are
// at: 4
// advises: put limit into a shadow variable
// attaches: klp_shadow_get_or_alloc(object, SHADOW_LIMIT
// attaches: struct shadow_limit { int limit; };
// why: pay: edited at unit.c:13
// why: is_open: uses struct account, whose layout changes
# 1 "include/shared.h"
struct account {
	int id;
	long balance;
	int limit;
	char open;
};
extern void *kmalloc(unsigned long size);
extern void log_account(struct account *account);
# 1 "unit.c"
long pay(struct account *account, long amount)
{
	if (amount > account->limit)
		return -1;
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
