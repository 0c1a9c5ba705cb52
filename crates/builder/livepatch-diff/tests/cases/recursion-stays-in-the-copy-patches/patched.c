// changed: total
struct node {
	struct node *left, *right;
	int value;
};

int total(struct node *node)
{
	if (!node)
		return 1;
	return node->value + total(node->left) * total(node->right);
}
