/* SPDX-License-Identifier: Apache-2.0 */
#include "model/overlay.h"

void overlay_init(struct overlay *o)
{
	table_init(&o->hosts, TABLE_COPY_KEYS);
}

void overlay_fini(struct overlay *o)
{
	table_fini(&o->hosts);
}

uint32_t overlay_get(const struct overlay *o, struct slice key)
{
	return o ? (uint32_t)(uintptr_t)table_get(&o->hosts, key) : 0;
}

bool overlay_set(struct overlay *o, struct slice key, uint32_t set, uint32_t clear)
{
	uint32_t was = overlay_get(o, key), is = (was | set) & ~clear;

	if (was == is)
		return false;
	if (is)
		table_put(&o->hosts, key, (void *)(uintptr_t)is);
	else
		table_del(&o->hosts, key);
	return true;
}
