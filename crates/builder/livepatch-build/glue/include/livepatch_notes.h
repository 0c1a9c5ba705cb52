/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the source of a livepatch tells the builder. Each macro leaves a pointer where the builder finds it; none of them
 * reaches the module. kpatch-macros.h and linux/livepatch_helpers.h spell the same in other words.
 */
#ifndef LIVEPATCH_NOTES_H
#define LIVEPATCH_NOTES_H

#include <linux/compiler.h>
#include <linux/livepatch.h>

#define LIVEPATCH_CALLBACK(type, kind, function)						\
	static type (*__klp_##kind##_callback_##function)(struct klp_object *)			\
		__used __section(".livepatch.callbacks") = function;

/* Called before the object (vmlinux or a module) is patched: int f(struct klp_object *); an error stops the patching. */
#define LIVEPATCH_PRE_PATCH(function)		LIVEPATCH_CALLBACK(int, pre_patch, function)
/* Called once the object is patched: void f(struct klp_object *); so are the next two. */
#define LIVEPATCH_POST_PATCH(function)		LIVEPATCH_CALLBACK(void, post_patch, function)
/* Called before the patch is undone. */
#define LIVEPATCH_PRE_UNPATCH(function)		LIVEPATCH_CALLBACK(void, pre_unpatch, function)
/* Called after the patch is undone. */
#define LIVEPATCH_POST_UNPATCH(function)	LIVEPATCH_CALLBACK(void, post_unpatch, function)

/* For a livepatch source (livepatch-build build --source FILE=UNIT): this function takes the place of UNIT's. */
#define LIVEPATCH_REPLACE(function)								\
	static void *__livepatch_replace_##function						\
		__used __section(".livepatch.replace") = (void *)function;

/*
 * A static call through its key, for keys of modules: call sites are set up when the livepatch loads, which may be
 * before the module is there (include/linux/static_call.h, struct static_call_key).
 */
#define LIVEPATCH_STATIC_CALL(name)								\
	((typeof(STATIC_CALL_TRAMP(name)) *)(STATIC_CALL_KEY(name).func))

#endif
