// changed: here
// added: prepare, undo
// needs: limit
// callbacks: pre_patch prepare, post_unpatch undo
int limit = 5;
struct klp_object;
static int prepare(struct klp_object *object)
{
	limit = 7;
	return 0;
}
static void undo(struct klp_object *object)
{
	limit = 5;
}
__attribute__((section(".livepatch.callbacks"), used)) static int (*__klp_pre_patch_callback_prepare)(struct klp_object *) = prepare;
__attribute__((section(".kpatch.callbacks.post_unpatch"), used)) static void (*any_name)(struct klp_object *) = undo;
int here(int x)
{
	return x + 2;
}
