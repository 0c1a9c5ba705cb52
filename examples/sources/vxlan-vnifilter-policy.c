// SPDX-License-Identifier: GPL-2.0-only
/*
 * CVE-2026-89776: a table of a module whose initial values are wrong, and which is read-only. No function changes, so
 * that the livepatch has none: it writes the table at patch time, and back when it is undone.
 * Seen with vxlan-vnifilter-group.sh.
 *
 * livepatch-build build --source vxlan-vnifilter-policy.c=drivers/net/vxlan/vxlan_vnifilter.c
 */
#include <linux/if_link.h>
#include <linux/mm.h>
#include <linux/vmalloc.h>
#include <net/netlink.h>

#include "livepatch_notes.h"

#define LENGTH_OF_GROUP 4
#define LENGTH_OF_GROUP6 16

extern const struct nla_policy vni_filter_entry_policy[VXLAN_VNIFILTER_ENTRY_MAX + 1];

/* The table's own pages are not writable, a second mapping of them is; a policy may lie across two. */
static int write_policy(int attribute, struct nla_policy value)
{
	const void *policy = &vni_filter_entry_policy[attribute];
	struct page *pages[] = {
		vmalloc_to_page(policy),
		vmalloc_to_page(policy + sizeof(value) - 1),
	};
	void *mapping = pages[0] && pages[1] ? vmap(pages, ARRAY_SIZE(pages), VM_MAP, PAGE_KERNEL) : NULL;

	if (!mapping)
		return -ENOMEM;
	memcpy(mapping + offset_in_page(policy), &value, sizeof(value));
	vunmap(mapping);
	return 0;
}

static int bound_lengths(struct klp_object *object)
{
	struct nla_policy group = NLA_POLICY_EXACT_LEN(LENGTH_OF_GROUP);
	struct nla_policy group6 = NLA_POLICY_EXACT_LEN(LENGTH_OF_GROUP6);

	return write_policy(VXLAN_VNIFILTER_ENTRY_GROUP, group) ?:
	       write_policy(VXLAN_VNIFILTER_ENTRY_GROUP6, group6);
}
LIVEPATCH_PRE_PATCH(bound_lengths);

static void unbound_lengths(struct klp_object *object)
{
	struct nla_policy group = { .type = NLA_BINARY, .len = LENGTH_OF_GROUP };
	struct nla_policy group6 = { .type = NLA_BINARY, .len = LENGTH_OF_GROUP6 };

	if (write_policy(VXLAN_VNIFILTER_ENTRY_GROUP, group) ||
	    write_policy(VXLAN_VNIFILTER_ENTRY_GROUP6, group6))
		pr_warn("vxlan: the stricter policy stays: no memory to write it back\n");
}
LIVEPATCH_POST_UNPATCH(unbound_lengths);
