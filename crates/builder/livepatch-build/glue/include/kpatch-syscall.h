/* SPDX-License-Identifier: GPL-2.0-only */
/* Patches for kpatch include this for KPATCH_SYSCALL_DEFINE1 to 6. */
#include <linux/syscalls.h>

#include "kpatch-macros.h"
