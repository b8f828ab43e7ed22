/* SPDX-License-Identifier: Apache-2.0 */
#include "kern/prefixes.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct row {
	struct prefix_key key;
	struct prefix value;                    /* as written */
	bool written, wanted;
	uint64_t since;                         /* first snapshot of this process that has it; 0: none yet */
};

struct prefix_key prefixes_key(const struct listener_range *r)
{
	struct prefix_key k = { .bits = PREFIX_HEAD_BITS + r->block.bits, .port = htons(r->port) };

	memcpy(k.addr.b, r->block.ip.b, sizeof(k.addr.b));
	return k;
}

static struct slice slice_of(const struct prefix_key *k)
{
	return (struct slice){ (const char *)k, sizeof(*k) };
}

static struct row *row_get(struct prefixes *p, const struct prefix_key *k)
{
	struct row *r = table_get(&p->rows, slice_of(k));

	if (r)
		return r;
	r = mem_alloc(sizeof(*r));
	r->key = *k;
	table_put(&p->rows, slice_of(&r->key), r);
	return r;
}

void prefixes_adopt(struct prefixes *p, const struct prefix_key *key, const struct prefix *value)
{
	struct row *r = row_get(p, key);

	p->written += !r->written;
	r->written = true;
	r->value = *value;
}

/* ---- in step ---------------------------------------------------------------------------------------------------- */

static bool is_served(const struct prefixes *p, const struct row *r)
{
	if (!p->on)
		return false;
	return p->heard ? r->since <= p->adopted : r->written && r->value.served;
}

static void note(struct prefixes *p, int err)
{
	p->writes++;
	if (!err)
		return;
	p->errors++;
	p->failed++;
	p->failed_err = err;
}

static void want(struct prefixes *p, const struct listener *l, const struct listener_range *range, uint64_t number,
		 const struct prefixes_ops *ops, void *arg)
{
	struct prefix_key key = prefixes_key(range);
	struct row *r = row_get(p, &key);
	int err;

	r->wanted = true;
	r->since = r->since ? r->since : number;
	struct prefix v = { .bits = range->block.bits, .port = key.port, .served = is_served(p, r),
			    .flags = l->fail == FAIL_CLOSED ? SERVICE_FAIL_CLOSED : 0 };

	if (r->written && !memcmp(&v, &r->value, sizeof(v)))
		return;
	err = ops->put(arg, &key, &v);
	note(p, err);
	if (err)
		return;
	p->written += !r->written;
	r->written = true;
	r->value = v;
}

static void drop_unwanted(struct prefixes *p, const struct prefixes_ops *ops, void *arg)
{
	struct table_entry *next;

	for (struct table_entry *e = table_next(&p->rows, NULL); e; e = next) {
		struct row *r = e->value;
		int err = 0;

		next = table_next(&p->rows, e);
		if (r->wanted)
			continue;
		if (r->written) {
			err = ops->del(arg, &r->key);
			note(p, err);
		}
		if (err)
			continue;
		p->written -= r->written;
		table_del(&p->rows, slice_of(&r->key));
		free(r);
	}
}

void prefixes_sync(struct prefixes *p, const struct snapshot *s, const struct prefixes_ops *ops, void *arg)
{
	struct fact_set set = snapshot_facts(s, FACT_LISTENER);

	p->failed = 0;
	p->served = 0;
	for (struct table_entry *e = table_next(&p->rows, NULL); e; e = table_next(&p->rows, e))
		((struct row *)e->value)->wanted = false;
	for (size_t i = 0; i < set.n; i++) {
		const struct listener *l = (const struct listener *)set.v[i];

		for (size_t k = 0; k < l->nranges; k++)
			want(p, l, &l->ranges[k], snapshot_number(s), ops, arg);
	}
	drop_unwanted(p, ops, arg);
	for (struct table_entry *e = table_next(&p->rows, NULL); e; e = table_next(&p->rows, e))
		p->served += ((struct row *)e->value)->written && ((struct row *)e->value)->value.served;
}

bool prefixes_heard(struct prefixes *p, uint64_t snapshot)
{
	bool first = !p->heard;

	p->heard = true;
	if (snapshot > p->adopted)
		p->adopted = snapshot;
	return p->rows.n && (first || p->served < p->rows.n);
}

const struct prefix *prefixes_find(const struct prefixes *p, const struct prefix_key *key)
{
	const struct row *r = table_get(&p->rows, slice_of(key));

	return r && r->written ? &r->value : NULL;
}

void prefixes_init(struct prefixes *p)
{
	*p = (struct prefixes){ 0 };
	table_init(&p->rows, 0);
}

void prefixes_fini(struct prefixes *p)
{
	for (struct table_entry *e = table_next(&p->rows, NULL); e; e = table_next(&p->rows, e))
		free(e->value);
	table_fini(&p->rows);
}
