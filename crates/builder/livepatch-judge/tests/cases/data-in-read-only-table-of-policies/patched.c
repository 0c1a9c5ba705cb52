// finding: refuse data-changed policy
// says: policy[1].type: NLA_UNSPEC → NLA_BINARY
// says: policy[1].len: 0 → 4
// advises: read-only
// advises: its users (check)
enum { NLA_UNSPEC, NLA_U8, NLA_BINARY };
struct nla_policy { unsigned char type; unsigned char validation_type; unsigned short len; };
extern int parse(const struct nla_policy *, int);
static const struct nla_policy policy[3] = { { NLA_U8 }, { NLA_BINARY, 0, 4 }, { NLA_U8 } };
int check(void)
{
	return parse(policy, NLA_BINARY);
}
