typedef unsigned int u32;
struct word { unsigned int value; const char *text; };
int f(struct word *word)
{
	return word->value;
}
