/* SPDX-License-Identifier: Apache-2.0 */
/* Captured ranges in the kernel: prefix_map, the flag by which connect() asks it, and whether clients may be sent at all. */
#include <bpf/bpf.h>
#include <errno.h>
#include "kern/kern_priv.h"
#include "weft/log.h"

static int prefix_put(void *arg, const struct prefix_key *key, const struct prefix *value)
{
	return bpf_map_update_elem(load_fd(arg, "prefix_map"), key, value, BPF_ANY) ? -errno : 0;
}

static int prefix_del(void *arg, const struct prefix_key *key)
{
	return bpf_map_delete_elem(load_fd(arg, "prefix_map"), key) && errno != ENOENT ? -errno : 0;
}

const char *kern_ranges_off(const struct kern *k)
{
	struct kern_status s;

	kern_status(k, &s);
	if (s.no_capture)
		return s.no_capture;
	/* What the proxy dials is told from what clients dial by nothing else. */
	return k->apply.ctl->own_cgroup ? NULL : "weft has no cgroup of its own, so its own connections would be captured";
}

/* connect() looks at the map from the first entry to the last. */
void captured_sync(struct kern *k, const struct snapshot *s)
{
	static const struct prefixes_ops ops = { prefix_put, prefix_del };
	const char *off = kern_ranges_off(k);

	k->prefixes.on = !off;
	prefixes_sync(&k->prefixes, s, &ops, &k->load);
	apply_flags(&k->apply, k->prefixes.written ? CTL_RANGES : 0, k->prefixes.written ? 0 : CTL_RANGES);
	stat_add(&k->stat.writes, k->prefixes.writes);
	stat_add(&k->stat.write_errors, k->prefixes.errors);
	k->prefixes.writes = k->prefixes.errors = 0;
	stat_set(&k->stat.ranges, k->prefixes.written);
	stat_set(&k->stat.ranges_served, k->prefixes.served);
	if (off && k->prefixes.written && !k->prefixes_said)
		log_warn("kernel", "captured ranges of listeners are left to their fail mode: %s", off);
	k->prefixes_said = off && k->prefixes.written;
}

void kern_adopted(struct kern *k, uint64_t snapshot)
{
	const struct snapshot *s = k->source ? k->source(k->source_arg) : NULL;
	uint32_t before = k->prefixes.served;

	if (!k->loaded || !prefixes_heard(&k->prefixes, snapshot) || !s)
		return;
	captured_sync(k, s);
	if (k->prefixes.served != before)
		log_info("kernel", "clients of %u of %u captured ranges are sent to the proxy", k->prefixes.served, k->prefixes.written);
}
