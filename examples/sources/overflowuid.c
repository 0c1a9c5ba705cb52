// SPDX-License-Identifier: GPL-2.0-only
/*
 * A changed initial value, as a livepatch makes it: set at patch time, put back when the patch is undone.
 * Seen in /proc/sys/kernel/overflowuid. Before: 65534. After: 65533.
 *
 * livepatch-build build --source overflowuid.c
 */
#include <linux/highuid.h>

#include "livepatch_notes.h"

#define FIXED_OVERFLOWUID 65533

static int saved_overflowuid;

static int set_overflowuid(struct klp_object *object)
{
	saved_overflowuid = overflowuid;
	overflowuid = FIXED_OVERFLOWUID;
	return 0;
}
LIVEPATCH_PRE_PATCH(set_overflowuid);

static void reset_overflowuid(struct klp_object *object)
{
	/* Somebody may have set it to something else meanwhile. */
	if (overflowuid == FIXED_OVERFLOWUID)
		overflowuid = saved_overflowuid;
}
LIVEPATCH_POST_UNPATCH(reset_overflowuid);
