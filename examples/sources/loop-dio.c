// SPDX-License-Identifier: GPL-2.0-only
/*
 * A function of a module replaced by one that uses the module's own static variable.
 * Seen in /sys/block/loopN/loop/dio. Before: '0'. After: 'at most 0 partitions'.
 *
 * livepatch-build build --source loop-dio.c=drivers/block/loop.c
 */
#include <linux/device.h>
#include <linux/sysfs.h>

#include "livepatch_notes.h"

extern int max_part;

ssize_t loop_attr_do_show_dio(struct device *device, struct device_attribute *attribute, char *buffer);

ssize_t loop_attr_do_show_dio(struct device *device, struct device_attribute *attribute, char *buffer)
{
	return sysfs_emit(buffer, "at most %d partitions\n", max_part);
}
LIVEPATCH_REPLACE(loop_attr_do_show_dio);

static void say_so(struct klp_object *object)
{
	pr_info("loop-dio: %s is patched\n", object->name ?: "vmlinux");
}
LIVEPATCH_POST_PATCH(say_so);
