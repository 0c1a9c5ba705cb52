/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The macros of the kernel's own klp-build (Linux 6.19), for kernels that do not have them yet.
 */
#ifndef _LINUX_LIVEPATCH_HELPERS_H
#define _LINUX_LIVEPATCH_HELPERS_H

#include <linux/livepatch.h>
#include <linux/syscalls.h>

#include "livepatch_notes.h"

#define KLP_PRE_PATCH_CALLBACK(function)	LIVEPATCH_PRE_PATCH(function)
#define KLP_POST_PATCH_CALLBACK(function)	LIVEPATCH_POST_PATCH(function)
#define KLP_PRE_UNPATCH_CALLBACK(function)	LIVEPATCH_PRE_UNPATCH(function)
#define KLP_POST_UNPATCH_CALLBACK(function)	LIVEPATCH_POST_UNPATCH(function)

#define KLP_STATIC_CALL(name)	LIVEPATCH_STATIC_CALL(name)

/* The builder redirects the entry points of a changed system call by itself. */
#define KLP_SYSCALL_DEFINE1(...)	SYSCALL_DEFINE1(__VA_ARGS__)
#define KLP_SYSCALL_DEFINE2(...)	SYSCALL_DEFINE2(__VA_ARGS__)
#define KLP_SYSCALL_DEFINE3(...)	SYSCALL_DEFINE3(__VA_ARGS__)
#define KLP_SYSCALL_DEFINE4(...)	SYSCALL_DEFINE4(__VA_ARGS__)
#define KLP_SYSCALL_DEFINE5(...)	SYSCALL_DEFINE5(__VA_ARGS__)
#define KLP_SYSCALL_DEFINE6(...)	SYSCALL_DEFINE6(__VA_ARGS__)

#endif
