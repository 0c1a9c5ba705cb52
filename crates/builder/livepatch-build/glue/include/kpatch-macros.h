/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The macros by which patches for kpatch tell the builder what they want, so that such patches build unchanged.
 */
#ifndef KPATCH_MACROS_H
#define KPATCH_MACROS_H

#include <linux/printk.h>

#include "livepatch_notes.h"

typedef struct klp_object patch_object;

#define KPATCH_PRE_PATCH_CALLBACK(function)	LIVEPATCH_PRE_PATCH(function)
#define KPATCH_POST_PATCH_CALLBACK(function)	LIVEPATCH_POST_PATCH(function)
#define KPATCH_PRE_UNPATCH_CALLBACK(function)	LIVEPATCH_PRE_UNPATCH(function)
#define KPATCH_POST_UNPATCH_CALLBACK(function)	LIVEPATCH_POST_UNPATCH(function)

/* The builder refuses this one. */
#define KPATCH_FORCE_UNSAFE(function)								\
	static void *__kpatch_force_##function							\
		__used __section(".kpatch.force") = (void *)function;

#define KPATCH_IGNORE_FUNCTION(function)							\
	static void *__kpatch_ignore_function_##function					\
		__used __section(".kpatch.ignore.functions") = (void *)function;

#define KPATCH_IGNORE_SECTION(name)								\
	static const char *__UNIQUE_ID(kpatch_ignore_section)					\
		__used __section(".kpatch.ignore.sections") = name;

/* printk() notes each format for the printk index (since Linux 5.15); the function below it does not. */
#ifdef printk
#define KPATCH_PRINTK(format, ...)	_printk(format, ##__VA_ARGS__)
#else
#define KPATCH_PRINTK(format, ...)	printk(format, ##__VA_ARGS__)
#endif

#define KPATCH_STATIC_CALL(name)	LIVEPATCH_STATIC_CALL(name)

/* The builder redirects the entry points of a changed system call by itself. */
#define KPATCH_SYSCALL_DEFINE1(...)	SYSCALL_DEFINE1(__VA_ARGS__)
#define KPATCH_SYSCALL_DEFINE2(...)	SYSCALL_DEFINE2(__VA_ARGS__)
#define KPATCH_SYSCALL_DEFINE3(...)	SYSCALL_DEFINE3(__VA_ARGS__)
#define KPATCH_SYSCALL_DEFINE4(...)	SYSCALL_DEFINE4(__VA_ARGS__)
#define KPATCH_SYSCALL_DEFINE5(...)	SYSCALL_DEFINE5(__VA_ARGS__)
#define KPATCH_SYSCALL_DEFINE6(...)	SYSCALL_DEFINE6(__VA_ARGS__)

#endif
