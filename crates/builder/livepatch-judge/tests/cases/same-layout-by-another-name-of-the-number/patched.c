// nothing
typedef unsigned int u32;
struct word { u32 value; const unsigned char *text; };
int f(struct word *word)
{
	return word->value + 1;
}
