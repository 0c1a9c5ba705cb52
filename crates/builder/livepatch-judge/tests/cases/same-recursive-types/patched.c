// nothing
struct node { struct node *next; int (*visit)(struct node *, int (*)(struct node *)); };
int f(struct node *node)
{
	return node->visit(node->next->next, 0);
}
