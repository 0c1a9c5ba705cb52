/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Static branches that read their key. The kernel sets the branches of a module up as it loads, and those of a livepatch
 * on a key of another module before that module need be there; the key itself is read when the branch is come to, by then
 * through a livepatch relocation. What reads as enabled: any count but zero (static_key_count, kernel/jump_label.c).
 */
#ifndef LIVEPATCH_STATIC_KEYS_H
#define LIVEPATCH_STATIC_KEYS_H

#include <linux/jump_label.h>

#undef static_branch_likely
#undef static_branch_unlikely
#define static_branch_likely(x)		likely_notrace(READ_ONCE((x)->key.enabled.counter) != 0)
#define static_branch_unlikely(x)	unlikely_notrace(READ_ONCE((x)->key.enabled.counter) != 0)

#endif
