enum { NLA_UNSPEC, NLA_U8, NLA_BINARY };
struct nla_policy { unsigned char type; unsigned char validation_type; unsigned short len; };
extern int parse(const struct nla_policy *, int);
static const struct nla_policy policy[3] = { { NLA_U8 }, { NLA_UNSPEC }, { NLA_U8 } };
int check(void)
{
	return parse(policy, NLA_BINARY);
}
