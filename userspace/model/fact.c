/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a fact: a struct, and blocks that double, for its bytes. Once packed there is one allocation: struct, arrays,
 * strings. Copying and comparing are in copy.c.
 */
#include "model/fact.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/magic.h"
#include "base/mem.h"
#include "model/field.h"
#include "model/home.h"
#include "weft/str.h"

#define FIRST_BLOCK 128u
#define BLOCK_MAX 65536u

struct block {
	struct block *next;
	size_t used, size;
	_Alignas(16) char bytes[];
};

const char *const fact_words[FACT_KINDS] = {
#define FACT_WORD_(KIND, type, word) word,
	FACTS(FACT_WORD_)
#undef FACT_WORD_
};

static const struct locality locality_unknown;

/* ---- memory of a fact in the making ------------------------------------------------------------------------- */

static void *bump(struct fact *f, size_t n, size_t align)
{
	struct block *b = f->blocks;
	size_t at = b ? (b->used + align - 1) & ~(align - 1) : 0, size;

	assert_always(!f->packed);
	if (!b || at > b->size || b->size - at < n) {
		size = b && b->size < BLOCK_MAX ? 2 * b->size : FIRST_BLOCK;
		if (size < n)
			size = n;
		b = mem_alloc(sizeof(*b) + size);
		b->size = size;
		b->next = f->blocks;
		f->blocks = b;
		at = 0;
	}
	b->used = at + n;
	return b->bytes + at;
}

void *fact_alloc(struct fact *f, size_t n)
{
	return bump(f, n, 16);
}

/* What begins the key is there already: names, and the cluster of a host. */
struct slice fact_slice(struct fact *f, struct slice s)
{
	char *p;

	if (slice_starts(f->key, s))
		return (struct slice){ f->key.p, s.n };
	p = bump(f, s.n, 1);
	memcpy(p, s.p, s.n);
	return (struct slice){ p, s.n };
}

const struct locality *fact_locality(struct fact *f, struct slice region, struct slice zone)
{
	struct locality *l;

	if (!region.n && !zone.n)
		return &locality_unknown;
	l = fact_alloc(f, sizeof(*l));
	l->region = fact_slice(f, region);
	l->zone = fact_slice(f, zone);
	return l;
}

/* In order, of two equal names the later one. Insertion: lists are short, and mostly in order as they come. */
static size_t pairs_sort(struct name_value *to, const struct name_value *v, size_t n)
{
	size_t m = 0;

	for (size_t i = 0; i < n; i++) {
		size_t at = m;

		while (at && slice_cmp(v[i].name, to[at - 1].name) < 0)
			at--;
		if (at && slice_eq(v[i].name, to[at - 1].name)) {
			to[at - 1].value = v[i].value;
			continue;
		}
		memmove(to + at + 1, to + at, (m - at) * sizeof(*to));
		to[at] = v[i];
		m++;
	}
	return m;
}

struct pair_list fact_pairs(struct fact *f, const struct name_value *v, size_t n)
{
	struct name_value *to;

	if (!n)
		return (struct pair_list){ NULL, 0 };
	to = fact_alloc(f, n * sizeof(*to));
	n = pairs_sort(to, v, n);
	for (size_t i = 0; i < n; i++) {
		to[i].name = fact_slice(f, to[i].name);
		to[i].value = fact_slice(f, to[i].value);
	}
	return (struct pair_list){ to, n };
}

/* ---- life --------------------------------------------------------------------------------------------------- */

static void place_set(struct fact *f, const struct fact_mark *mark)
{
	struct fact_place *place = fact_alloc(f, sizeof(*place));

	f->place = place;
	if (!mark)
		return;
	place->registry = fact_slice(f, mark->registry);
	place->file = fact_slice(f, mark->file);
	f->line = mark->line;
}

struct fact *fact_new(enum fact_kind kind, struct slice key, const struct fact_mark *mark)
{
	const struct shape *shape = &fact_shapes[kind];
	struct fact *f = mem_alloc(shape->size);
	char *p;

	*f = (struct fact){ .magic = fact_MAGIC, .kind = kind, .refs = 1, .slot = FACT_NO_SLOT };
	p = bump(f, key.n, 1);
	if (key.n)
		memcpy(p, key.p, key.n);
	f->key = (struct slice){ p, key.n };
	place_set(f, mark);
	if (shape->name_off >= 0)
		*(struct slice *)((char *)f + shape->name_off) = f->key;
	shape_for(row, shape) {
		if (row->type == FIELD_LOCALITY)
			*(const struct locality **)((char *)f + row->off) = &locality_unknown;
		else if (row->dflt)
			field_set_uint(row, f, row->dflt);
	}
	return f;
}

struct host *host_new(struct slice cluster, const struct ip *ip, uint16_t port, const struct fact_mark *mark)
{
	char *key = mem_alloc(cluster.n + HOST_KEY_EXTRA);
	struct host *h = (struct host *)fact_new(FACT_HOST, host_key(key, cluster, ip, port), mark);

	free(key);
	h->cluster = fact_slice(&h->fact, cluster);
	h->ip = *ip;
	h->port = port;
	h->weight = 1;
	return h;
}

struct fact *fact_hold(const struct fact *f)
{
	struct fact *own = CAST(fact, (struct fact *)f);

	own->refs++;
	return own;
}

static void packed_fini(struct fact *f)
{
	struct home *home = shared_home(f->place);

	if (f->slot != FACT_NO_SLOT)
		slots_drop(&home->slots[f->kind], f->slot, f->key);
	shape_for(row, &fact_shapes[f->kind]) {
		if (row->type == FIELD_LOCALITY)
			shared_drop(*(const struct locality *const *)field_at(row, f));
		else if (row->type == FIELD_PAIRS)
			shared_drop(((const struct pair_list *)field_at(row, f))->v);
	}
	shared_drop(f->place);
}

static void blocks_free(struct fact *f)
{
	struct block *next;

	for (struct block *b = f->blocks; b; b = next) {
		next = b->next;
		free(b);
	}
}

void fact_drop(struct fact *f)
{
	if (!f)
		return;
	CAST(fact, f);
	assert_always(f->refs);
	if (--f->refs)
		return;
	f->magic = 0;
	if (f->packed)
		packed_fini(f);
	else
		blocks_free(f);
	free(f);
}

/* ---- words -------------------------------------------------------------------------------------------------- */

struct fact_mark fact_mark(const struct fact *f)
{
	return (struct fact_mark){ f->place->registry, f->place->file, f->line };
}

const char *fact_name(const struct fact *f, char *out, size_t size)
{
	if (f->key.n)
		snprintf(out, size, "%s %.*s", fact_words[f->kind], SLICE_ARG(f->key));
	else
		snprintf(out, size, "%s", fact_words[f->kind]);
	return out;
}

const char *fact_mark_name(const struct fact_mark *m, char *out, size_t size)
{
	const char *space = m->registry.n && m->file.n ? " " : "";

	if (!m->registry.n && !m->file.n)
		snprintf(out, size, "?");
	else if (m->line)
		snprintf(out, size, "%.*s%s%.*s:%u", SLICE_ARG(m->registry), space, SLICE_ARG(m->file), m->line);
	else
		snprintf(out, size, "%.*s%s%.*s", SLICE_ARG(m->registry), space, SLICE_ARG(m->file));
	return out;
}

static const uint8_t v4_mapped[12] = { [10] = 0xff, [11] = 0xff };

/* Decimal, without a NUL. Every host's key is made of five of these, for which printf takes long. */
static char *put_number(char *out, unsigned v)
{
	char digits[10];
	size_t n = 0;

	do {
		digits[n++] = '0' + v % 10;
		v /= 10;
	} while (v);
	while (n)
		*out++ = digits[--n];
	return out;
}

static void ip4_name(const uint8_t *b, char *out)
{
	for (int i = 0; i < 4; i++) {
		out = put_number(out, b[i]);
		*out++ = i < 3 ? '.' : '\0';
	}
}

bool ip_is_v4(const struct ip *ip)
{
	return !memcmp(ip->b, v4_mapped, sizeof(v4_mapped));
}

const char *ip_name(const struct ip *ip, char *out)
{
	if (ip_is_v4(ip))
		ip4_name(ip->b + sizeof(v4_mapped), out);
	else
		inet_ntop(AF_INET6, ip->b, out, INET6_ADDRSTRLEN);
	return out;
}

void ip_block_mask(struct ip_block *b)
{
	for (unsigned i = 0; i < 16; i++) {
		unsigned keep = b->bits > 8 * i ? b->bits - 8 * i : 0;

		if (keep < 8)
			b->ip.b[i] &= (uint8_t)(0xff00 >> keep);
	}
}

const char *ip_block_name(const struct ip_block *b, char *out)
{
	unsigned bits = ip_is_v4(&b->ip) && b->bits >= 96 ? b->bits - 96u : b->bits;

	ip_name(&b->ip, out);
	snprintf(out + strlen(out), sizeof("/128"), "/%u", bits);
	return out;
}

int ip_parse(struct slice text, struct ip *out)
{
	char s[INET6_ADDRSTRLEN];
	struct ip ip;

	if (text.n >= sizeof(s) || memchr(text.p ? text.p : "", '\0', text.n))
		return -EINVAL;
	memcpy(s, text.p ? text.p : "", text.n);
	s[text.n] = '\0';
	memcpy(ip.b, v4_mapped, sizeof(v4_mapped));
	if (inet_pton(AF_INET, s, ip.b + sizeof(v4_mapped)) != 1 && inet_pton(AF_INET6, s, ip.b) != 1)
		return -EINVAL;
	*out = ip;
	return 0;
}

struct slice host_key(char *out, struct slice cluster, const struct ip *ip, uint16_t port)
{
	char *end = out + cluster.n;

	if (cluster.n)
		memcpy(out, cluster.p, cluster.n);
	*end++ = '|';
	end += strlen(ip_name(ip, end));
	*end++ = '|';
	end = put_number(end, port);
	*end = '\0';
	return (struct slice){ out, (size_t)(end - out) };
}
