// SPDX-License-Identifier: Apache-2.0
#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <linux/bpf.h>

#include "stub_map.h"

#define NMAPS 32
#define NBUCKETS 1024

struct entry {
	struct entry *next;
	char *key, *value;
};

struct store {
	struct stub_map m;
	struct entry *bucket[NBUCKETS];
	char *array;
	uint32_t n;
};

uint64_t stub_now_ns, stub_cgroup[CGROUP_LEVELS + 1];
long stub_update_err, stub_ring_err;
unsigned int stub_nrecords;
void (*stub_on_lookup)(const void *map);

static struct store stores[NMAPS];

static bool is_array(const struct stub_map *m)
{
	return m->type == BPF_MAP_TYPE_ARRAY || m->type == BPF_MAP_TYPE_PERCPU_ARRAY;
}

static struct store *store_of(struct stub_map m)
{
	struct store *s = stores;

	while (s->m.map && s->m.map != m.map)
		s++;
	assert(s < stores + NMAPS - 1);
	if (!s->m.map) {
		s->m = m;
		if (is_array(&m))
			s->array = calloc(m.max, m.value);
	}
	return s;
}

static struct entry **entry_at(struct store *s, const void *key)
{
	const unsigned char *k = key;
	uint32_t hash = 2166136261u;
	struct entry **e;

	for (uint32_t i = 0; i < s->m.key; i++)
		hash = (hash ^ k[i]) * 16777619u;
	for (e = &s->bucket[hash % NBUCKETS]; *e; e = &(*e)->next)
		if (!memcmp((*e)->key, key, s->m.key))
			break;
	return e;
}

static bool prefix_holds(const char *prefix, const char *key, uint32_t bits)
{
	for (uint32_t i = 0; i < bits; i++)
		if ((prefix[4 + i / 8] ^ key[4 + i / 8]) & 0x80 >> i % 8)
			return false;
	return true;
}

/* The longest prefix, by looking at all. */
static void *find_longest(struct store *s, const char *key)
{
	uint32_t bits, asked, best = 0;
	void *value = NULL;

	memcpy(&asked, key, sizeof(asked));
	for (uint32_t b = 0; b < NBUCKETS; b++) {
		for (struct entry *e = s->bucket[b]; e; e = e->next) {
			memcpy(&bits, e->key, sizeof(bits));
			if (bits > asked || (value && bits <= best) || !prefix_holds(e->key, key, bits))
				continue;
			best = bits;
			value = e->value;
		}
	}
	return value;
}

static void *find(struct store *s, const void *key)
{
	struct entry *e;
	uint32_t i;

	if (s->m.type == BPF_MAP_TYPE_LPM_TRIE)
		return find_longest(s, key);

	if (is_array(&s->m)) {
		memcpy(&i, key, sizeof(i));
		return i < s->m.max ? s->array + (size_t)i * s->m.value : NULL;
	}
	e = *entry_at(s, key);
	return e ? e->value : NULL;
}

void *stub_lookup(struct stub_map m, const void *key)
{
	char *value = find(store_of(m), key);

	if (stub_on_lookup)
		stub_on_lookup(m.map);
	return value;
}

static void *copy(const void *from, size_t len)
{
	return memcpy(malloc(len), from, len);
}

long stub_update(struct stub_map m, const void *key, const void *value, uint64_t flags)
{
	struct store *s = store_of(m);
	struct entry **at = is_array(&m) ? NULL : entry_at(s, key);
	char *old = at ? *at ? (*at)->value : NULL : find(s, key);

	if (stub_update_err)
		return stub_update_err;
	if (old) {
		memcpy(old, value, m.value);
		return flags == BPF_NOEXIST ? -EEXIST : 0;
	}
	if (is_array(&m) || s->n == m.max)
		return -E2BIG;
	*at = calloc(1, sizeof(**at));
	(*at)->key = copy(key, m.key);
	(*at)->value = copy(value, m.value);
	s->n++;
	return 0;
}

static void entry_free(struct entry *e)
{
	free(e->key);
	free(e->value);
	free(e);
}

long stub_delete(struct stub_map m, const void *key)
{
	struct store *s = store_of(m);
	struct entry **at = entry_at(s, key), *gone = *at;

	if (!gone)
		return -ENOENT;
	*at = gone->next;
	entry_free(gone);
	s->n--;
	return 0;
}

long stub_record(const void *data, uint64_t len)
{
	assert(data && len);
	if (!stub_ring_err)
		stub_nrecords++;
	return stub_ring_err;
}

uint32_t stub_count(const void *map)
{
	for (struct store *s = stores; s->m.map; s++)
		if (s->m.map == map)
			return s->n;
	return 0;
}

void stub_reset(void)
{
	for (struct store *s = stores; s->m.map; s++) {
		for (int b = 0; b < NBUCKETS; b++)
			while (s->bucket[b]) {
				struct entry *e = s->bucket[b];

				s->bucket[b] = e->next;
				entry_free(e);
			}
		free(s->array);
	}
	memset(stores, 0, sizeof(stores));
	memset(stub_cgroup, 0, sizeof(stub_cgroup));
	stub_now_ns = 1000000000000;
	stub_update_err = stub_ring_err = 0;
	stub_nrecords = 0;
	stub_on_lookup = NULL;
}
