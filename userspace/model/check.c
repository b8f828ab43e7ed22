/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules. Each put is checked by itself and against the state after the transaction; each del against those who would
 * still name what goes. Only what a transaction touches is looked at: the rest was right before and names nothing of it.
 */
#include <stdio.h>
#include "base/magic.h"
#include "model/check_kinds.h"
#include "model/claim.h"
#include "model/field.h"
#include "model/store_priv.h"
#include "model/utf8.h"
#include "model/wire.h"
#include "weft/str.h"

#define NAME_MAX_BYTES 512
#define WHO_BYTES 320                           /* "service web.default (files web.yaml:3)" */

static const char *who(const struct fact *f, const struct fact_mark *mark, char out[WHO_BYTES])
{
	char name[160], place[150];

	snprintf(out, WHO_BYTES, "%s (%s)", fact_name(f, name, sizeof(name)),
		 fact_mark_name(mark, place, sizeof(place)));
	return out;
}

/* ---- the fact by itself ------------------------------------------------------------------------------------- */

struct check {
	struct store_tx *tx;
	const struct op *op;
	struct table seen[FACT_KINDS];          /* claims of this transaction -> struct op */
	struct slice cluster;                   /* that the last host named and that is there: they come in its order */
};

/* What a name's addresses were is anybody's once the cluster goes by its name no more: who resolved it hears of that later. */
static bool was_by_name(const struct check *c, const struct host *h)
{
	const struct entry *before = store_entry(c->tx->store, FACT_CLUSTER, h->cluster);
	const struct cluster_fact *after = (const struct cluster_fact *)tx_after(c->tx, FACT_CLUSTER, h->cluster);

	return before && after && ((const struct cluster_fact *)before->fact)->dns_host.n && !after->dns_host.n;
}

static bool owner_ok(struct check *c)
{
	const struct fact *now = c->op->now;
	struct fact_mark mark;
	char place[150];

	if (!now || !c->tx->registry.n || slice_eq(now->place->registry, c->tx->registry))
		return true;
	if (c->op->kind == FACT_CLUSTER && absent_is(now))
		return true;
	if (c->op->kind == FACT_HOST && c->op->fact && was_by_name(c, (const struct host *)now))
		return true;
	mark = fact_mark(now);
	tx_refuse(c->tx, c->op, "given by another registry already (%s); only that one may change it",
		  fact_mark_name(&mark, place, sizeof(place)));
	return false;
}

static bool key_ok(struct check *c)
{
	const struct fact *f = c->op->fact;
	const struct host *h = (const struct host *)f;
	char key[NAME_MAX_BYTES + HOST_KEY_EXTRA];
	struct slice want;

	if (f->kind == FACT_NODE) {
		if (f->key.n)
			tx_refuse(c->tx, c->op, "a node has the empty key: there is one");
		return !f->key.n;
	}
	if (f->kind != FACT_HOST) {
		if (!f->key.n || f->key.n > NAME_MAX_BYTES)
			tx_refuse(c->tx, c->op, "a name of %zu bytes; it has 1 to %d", f->key.n, NAME_MAX_BYTES);
		return f->key.n && f->key.n <= NAME_MAX_BYTES;
	}
	if (h->cluster.n > NAME_MAX_BYTES) {
		tx_refuse(c->tx, c->op, "cluster: a name of %zu bytes; it has 1 to %d", h->cluster.n, NAME_MAX_BYTES);
		return false;
	}
	want = host_key(key, h->cluster, &h->ip, h->port);
	if (!slice_eq(want, f->key))
		tx_refuse(c->tx, c->op, "the key of this host is %.*s", SLICE_ARG(want));
	return slice_eq(want, f->key);
}

static bool text_clean(struct slice s, bool lines)
{
	for (size_t i = 0; i < s.n; i++) {
		if (lines && (s.p[i] == '\n' || s.p[i] == '\r' || s.p[i] == '\t'))
			continue;
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return false;
	}
	return utf8_valid(s);
}

static void field_check(void *arg, const struct field *f, const void *object, const struct field_spot *up)
{
	struct check *c = arg;
	char path[160];

	switch ((enum field_type)f->type) {
	case FIELD_UINT:
		if (field_uint(f, object) > f->max)
			tx_refuse(c->tx, c->op, "%s %ju: at most %ju", field_path(f, up, path, sizeof(path)),
				  (uintmax_t)field_uint(f, object), (uintmax_t)f->max);
		break;
	case FIELD_ENUM:
		if (field_uint(f, object) > f->max || !f->names[field_uint(f, object)])
			tx_refuse(c->tx, c->op, "%s %ju: not a known value", field_path(f, up, path, sizeof(path)),
				  (uintmax_t)field_uint(f, object));
		break;
	case FIELD_SLICE:
		if (!text_clean(field_slice(f, object), f->flags & FIELD_MULTILINE))
			tx_refuse(c->tx, c->op, "%s: must be UTF-8 without control characters",
				  field_path(f, up, path, sizeof(path)));
		break;
	default:
		break;
	}
}

static bool fields_ok(struct check *c)
{
	size_t before = c->tx->refused.n, size = wire_size(c->op->fact);

	if (size > FACT_BYTES_MAX)
		tx_refuse(c->tx, c->op, "%zu bytes in all: at most %u", size, FACT_BYTES_MAX);
	if (!text_clean(c->op->key, false))
		tx_refuse(c->tx, c->op, "name: must be UTF-8 without control characters");
	field_walk(&fact_shapes[c->op->kind], c->op->fact, field_check, c);
	return c->tx->refused.n == before;
}

/* ---- the fact among others ---------------------------------------------------------------------------------- */

static void ref_check(void *arg, const struct field *f, const void *object, const struct field_spot *up)
{
	struct check *c = arg;
	const struct fact *there;
	struct slice key;
	char path[160];

	if (f->type != FIELD_SLICE || f->ref == FIELD_NO_REF)
		return;
	key = field_slice(f, object);
	/* Whether a name may be missing was the kind's own rule; but a list's element and a host's cluster never may. */
	if (!key.n && f->name && (c->op->kind == FACT_SERVICE || f->flags & FIELD_OPTIONAL))
		return;
	if (f->ref == FACT_CLUSTER && c->cluster.p && slice_eq(key, c->cluster))
		return;
	there = tx_after(c->tx, f->ref, key);
	if (f->ref == FACT_CLUSTER && c->op->kind == FACT_HOST && absent_is(there))
		there = NULL;                   /* a host's cluster is there before it or with it */
	if (f->ref == FACT_CLUSTER && there)
		c->cluster = key;
	else if (!there)
		tx_refuse(c->tx, c->op, "%s: no %s \"%.*s\": nobody has given one of that name",
			  field_path(f, up, path, sizeof(path)), fact_words[f->ref], SLICE_ARG(key));
}

static void claim_check(void *arg, struct slice key, const char *text)
{
	struct check *c = arg;
	const struct op *other = table_get(&c->seen[c->op->kind], key);
	const struct fact *holder;
	struct fact_mark mark;
	char name[WHO_BYTES];

	if (other == c->op) {
		tx_refuse(c->tx, c->op, "%s is listed twice", text);
		return;
	}
	if (other) {
		mark = op_mark(other);
		tx_refuse(c->tx, c->op, "%s is that of %s already", text, who(other->fact, &mark, name));
		return;
	}
	table_put(&c->seen[c->op->kind], key, (void *)c->op);
	holder = table_get(&c->tx->store->claims[c->op->kind], key);
	/* A holder that this transaction touches, this fact itself too, gives it up or claims it above. */
	if (!holder || tx_op(c->tx, holder->kind, holder->key))
		return;
	mark = fact_mark(holder);
	tx_refuse(c->tx, c->op, "%s is that of %s already", text, who(holder, &mark, name));
}

static bool kind_ok(struct check *c)
{
	size_t before = c->tx->refused.n;

	if (check_kinds[c->op->kind])
		check_kinds[c->op->kind](c->tx, c->op);
	return c->tx->refused.n == before;
}

static void put_check(struct check *c)
{
	if (!owner_ok(c))
		return;
	if (!c->op->same) {
		if (!key_ok(c) || !fields_ok(c))
			return;
		if (!kind_ok(c))
			return;
	}
	/* An unchanged fact too: this transaction may take away what it names, or give another what it has. */
	field_walk(&fact_shapes[c->op->kind], c->op->fact, ref_check, c);
	claim_each(c->op->fact, claim_check, c);
}

/* ---- what is deleted ---------------------------------------------------------------------------------------- */

static bool referrer_check(struct check *c, const struct fact *from)
{
	struct fact_mark mark;
	char name[WHO_BYTES];

	/* What is put or deleted itself was or will be looked at by itself. */
	if (tx_op(c->tx, from->kind, from->key))
		return true;
	mark = fact_mark(from);
	tx_refuse(c->tx, c->op, "cannot be deleted: %s still names it", who(from, &mark, name));
	return false;
}

bool check_goes_along(const struct op *cluster)
{
	const struct cluster_fact *now = (const struct cluster_fact *)cluster->now;

	return now && (!cluster->fact || absent_is(cluster->fact)) && (now->dns_host.n || now->from_service.n);
}

static bool goes_along(const struct check *c)
{
	const struct op *cluster = tx_op(c->tx, FACT_CLUSTER, c->op->cluster);

	return cluster && check_goes_along(cluster);
}

static void hosts_check(struct check *c)
{
	const struct entry *e = store_entry(c->tx->store, c->op->kind, c->op->key);

	for (size_t i = 0; e && e->cluster && i < e->cluster->nhosts; i++) {
		if (!referrer_check(c, &e->cluster->hosts[i]->fact))
			return;
	}
}

static void del_check(struct check *c)
{
	size_t before = c->tx->refused.n;
	struct entry *e;

	if (!c->op->now || (c->op->kind == FACT_HOST && goes_along(c)) || !owner_ok(c) || c->op->kind == FACT_HOST)
		return;
	e = store_entry(c->tx->store, c->op->kind, c->op->key);
	list_for(l, &e->referrers) {
		if (!referrer_check(c, container_of(l, struct edge, link)->from->fact))
			return;
	}
	if (c->op->kind == FACT_CLUSTER && c->tx->refused.n == before)
		hosts_check(c);
}

void tx_check(struct store_tx *tx)
{
	struct check c = { .tx = tx };

	for (int k = 0; k < FACT_KINDS; k++)
		table_init(&c.seen[k], TABLE_COPY_KEYS);
	for (int k = 0; k < FACT_KINDS; k++) {
		tx_for(op, tx, k) {
			c.op = op;
			if (op->fact)
				put_check(&c);
			else
				del_check(&c);
			if (k == FACT_CLUSTER && absent_is(op->fact))
				hosts_check(&c);
		}
	}
	for (int k = 0; k < FACT_KINDS; k++)
		table_fini(&c.seen[k]);
}
