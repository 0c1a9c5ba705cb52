// SPDX-License-Identifier: GPL-2.0-only
/*
 * The frame of every livepatch module: registers the replaced functions, after making sure that this is the kernel
 * build that they were made for. vermagic does not tell builds apart when the module carries symbol versions.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/buildid.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/string.h>

#include "livepatch_table.h"

/*
 * The running kernel's own build id (lib/buildid.c). It is not exported: a livepatch relocation leads here. Weak, so
 * that the module links before that relocation exists.
 */
#pragma weak vmlinux_build_id

static const unsigned char wanted_build_id[] = LIVEPATCH_BUILD_ID;

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objects,
	.replace = true,
};

static noinline bool is_wanted_kernel(void)
{
	const unsigned char *wanted = wanted_build_id;

	/* Kept as data: a compiler that compares with immediates would leave nothing to read in the module. */
	OPTIMIZER_HIDE_VAR(wanted);
	return !memcmp(vmlinux_build_id, wanted, sizeof(wanted_build_id));
}

static int __init livepatch_init(void)
{
	if (!is_wanted_kernel()) {
		pr_err("made for kernel build " LIVEPATCH_BUILD_ID_TEXT ", not for this one\n");
		return -ENOEXEC;
	}
	return klp_enable_patch(&patch);
}

static void __exit livepatch_exit(void)
{
}

module_init(livepatch_init);
module_exit(livepatch_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Livepatch for " LIVEPATCH_RELEASE);
MODULE_INFO(livepatch, "Y");
MODULE_INFO(livepatch_build_id, LIVEPATCH_BUILD_ID_TEXT);
MODULE_INFO(livepatch_release, LIVEPATCH_RELEASE);
