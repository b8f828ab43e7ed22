/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules. Each put is checked by itself and against the state after the transaction; each del against those who would
 * still name what goes. Only what a transaction touches is looked at: the rest was right before and names nothing of it.
 */
#include <netinet/in.h>
#include <stdio.h>
#include "base/magic.h"
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

static bool owner_ok(struct check *c)
{
	const struct fact *now = c->op->now;
	struct fact_mark mark;
	char place[150];

	if (!now || !c->tx->registry.n || slice_eq(now->place->registry, c->tx->registry))
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

static bool text_clean(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
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
			tx_refuse(c->tx, c->op, "%s %u: at most %u", field_path(f, up, path, sizeof(path)),
				  field_uint(f, object), f->max);
		break;
	case FIELD_ENUM:
		if (field_uint(f, object) > f->max || !f->names[field_uint(f, object)])
			tx_refuse(c->tx, c->op, "%s %u: not a known value", field_path(f, up, path, sizeof(path)),
				  field_uint(f, object));
		break;
	case FIELD_SLICE:
		if (!text_clean(field_slice(f, object)))
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
	if (!text_clean(c->op->key))
		tx_refuse(c->tx, c->op, "name: must be UTF-8 without control characters");
	field_walk(&fact_shapes[c->op->kind], c->op->fact, field_check, c);
	return c->tx->refused.n == before;
}

static bool address_ok(struct check *c, const char *what, const struct ip *ip)
{
	static const uint8_t zero[16], mapped[12] = { [10] = 0xff, [11] = 0xff }, all[4] = { 255, 255, 255, 255 };
	bool v4 = !memcmp(ip->b, mapped, sizeof(mapped));
	const uint8_t *b = v4 ? ip->b + 12 : ip->b;
	const char *kind = NULL;
	char text[INET6_ADDRSTRLEN];

	if (!memcmp(b, zero, v4 ? 4 : 16))
		kind = "unspecified";
	else if (v4 ? (b[0] & 0xf0) == 0xe0 : b[0] == 0xff)
		kind = "a multicast address";
	else if (v4 && !memcmp(b, all, 4))
		kind = "the broadcast address";
	if (kind)
		tx_refuse(c->tx, c->op, "%s %s is %s; a unicast address is needed", what, ip_name(ip, text), kind);
	return !kind;
}

static bool host_ok(struct check *c)
{
	return address_ok(c, "address", &((const struct host *)c->op->fact)->ip);
}

static bool route_ok(struct check *c)
{
	const struct route *r = (const struct route *)c->op->fact;

	if (!r->nhosts)
		tx_refuse(c->tx, c->op, "no hosts; name at least one, \"*\" is any");
	if (!r->nbackends)
		tx_refuse(c->tx, c->op, "no backends; name at least one cluster");
	return r->nhosts && r->nbackends;
}

static bool port_ok(struct check *c, const struct service_fact *s, size_t i)
{
	if (!s->ports[i].port) {
		tx_refuse(c->tx, c->op, "ports[%zu].port 0: 1 to 65535", i);
		return false;
	}
	if (!s->ports[i].cluster.n && !s->nroutes) {
		tx_refuse(c->tx, c->op, "ports[%zu].cluster: missing; a service without routes needs one for each port", i);
		return false;
	}
	return true;
}

static bool service_ok(struct check *c)
{
	const struct service_fact *s = (const struct service_fact *)c->op->fact;
	bool ok = true;

	if (!s->naddrs)
		tx_refuse(c->tx, c->op, "no address; give at least one");
	if (!s->nports)
		tx_refuse(c->tx, c->op, "no port; give at least one");
	for (size_t i = 0; i < s->naddrs; i++)
		ok &= address_ok(c, "address", &s->addrs[i]);
	for (size_t i = 0; i < s->nports; i++)
		ok &= port_ok(c, s, i);
	return ok && s->naddrs && s->nports;
}

static bool policy_ok(struct check *c)
{
	if (!((const struct policy_fact *)c->op->fact)->service.n)
		tx_refuse(c->tx, c->op, "service: missing; a policy is for one service");
	return ((const struct policy_fact *)c->op->fact)->service.n;
}

/* Whether one of the path's parts is "..". */
static bool climbs(struct slice path)
{
	size_t from = 0;

	for (size_t i = 0; i <= path.n; i++) {
		if (i < path.n && path.p[i] != '/')
			continue;
		if (slice_eq_str((struct slice){ path.p + from, i - from }, ".."))
			return true;
		from = i + 1;
	}
	return false;
}

static bool workload_ok(struct check *c)
{
	struct slice path = ((const struct workload_fact *)c->op->fact)->cgroup;

	if (!path.n)
		tx_refuse(c->tx, c->op, "cgroup: missing; a path below the captured cgroup");
	else if (climbs(path))
		tx_refuse(c->tx, c->op, "cgroup %.*s: must not contain \"..\"", SLICE_ARG(path));
	return path.n && !climbs(path);
}

static bool (*const kind_ok[FACT_KINDS])(struct check *c) = {
	[FACT_HOST] = host_ok,	     [FACT_ROUTE] = route_ok,	    [FACT_SERVICE] = service_ok,
	[FACT_POLICY] = policy_ok, [FACT_WORKLOAD] = workload_ok,
};

/* ---- the fact among others ---------------------------------------------------------------------------------- */

static void ref_check(void *arg, const struct field *f, const void *object, const struct field_spot *up)
{
	struct check *c = arg;
	struct slice key;
	char path[160];

	if (f->type != FIELD_SLICE || f->ref == FIELD_NO_REF)
		return;
	key = field_slice(f, object);
	/* Whether a name may be missing was the kind's own rule; but a list's element and a host's cluster never may. */
	if (!key.n && f->name && c->op->kind == FACT_SERVICE)
		return;
	if (f->ref == FACT_CLUSTER && c->cluster.p && slice_eq(key, c->cluster))
		return;
	if (f->ref == FACT_CLUSTER && tx_after(c->tx, f->ref, key))
		c->cluster = key;
	else if (!tx_after(c->tx, f->ref, key))
		tx_refuse(c->tx, c->op, "%s: no %s \"%.*s\"; it must be given before or in the same transaction",
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

static void put_check(struct check *c)
{
	if (!owner_ok(c))
		return;
	if (!c->op->same) {
		if (!key_ok(c) || !fields_ok(c))
			return;
		if (kind_ok[c->op->kind] && !kind_ok[c->op->kind](c))
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

static void del_check(struct check *c)
{
	struct entry *e;

	if (!c->op->now || !owner_ok(c) || c->op->kind == FACT_HOST)
		return;
	e = store_entry(c->tx->store, c->op->kind, c->op->key);
	list_for(l, &e->referrers) {
		if (!referrer_check(c, container_of(l, struct edge, link)->from->fact))
			return;
	}
	for (size_t i = 0; e->cluster && i < e->cluster->nhosts; i++) {
		if (!referrer_check(c, &e->cluster->hosts[i]->fact))
			return;
	}
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
		}
	}
	for (int k = 0; k < FACT_KINDS; k++)
		table_fini(&c.seen[k]);
}
