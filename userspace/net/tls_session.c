/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tls_session.h"

#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/list.h"
#include "base/mem.h"
#include "base/table.h"

STAT_DEFINE(tls_session_stat, "upstream_tls", TLS_SESSION_STATS);

#define NAME_MOST 253                           /* bytes of a name in DNS */

struct key_bytes {
	uint64_t context;
	struct ip ip;
	uint16_t port;
	char name[NAME_MOST];
} __attribute__((packed));

struct host_sessions {
	struct list node;                       /* used longest ago first */
	unsigned n;
	SSL_SESSION *v[TLS_SESSION_EACH];       /* newest last */
	struct slice key;
	char bytes[];
};

struct tls_sessions {
	struct table hosts;
	struct list used;
	struct tls_session_stat stat;
};

static void count(struct tls_sessions *s, int n)
{
	stat_set(&s->stat.kept, stat_get(&s->stat.kept) + (uint64_t)(int64_t)n);
}

static void remove_at(struct tls_sessions *s, struct host_sessions *h, unsigned i)
{
	memmove(&h->v[i], &h->v[i + 1], (h->n - i - 1) * sizeof(h->v[0]));
	h->n--;
	count(s, -1);
}

static void forget(struct tls_sessions *s, struct host_sessions *h)
{
	while (h->n) {
		SSL_SESSION_free(h->v[h->n - 1]);
		remove_at(s, h, h->n - 1);
	}
	list_del(&h->node);
	table_del(&s->hosts, h->key);
	free(h);
}

/* A name that is longer is nobody's: its key would be another's. */
static bool key_make(const struct tls_session_key *k, struct key_bytes *b, struct slice *out)
{
	if (k->name.n > sizeof(b->name))
		return false;
	b->context = k->context;
	b->ip = k->host.ip;
	b->port = k->host.port;
	if (k->name.n)
		memcpy(b->name, k->name.p, k->name.n);
	*out = (struct slice){ (const char *)b, offsetof(struct key_bytes, name) + k->name.n };
	return true;
}

static struct host_sessions *host_new(struct tls_sessions *s, struct slice key)
{
	struct host_sessions *h;

	if (s->hosts.n >= TLS_SESSION_HOSTS)
		forget(s, container_of(s->used.next, struct host_sessions, node));
	h = mem_alloc(sizeof(*h) + key.n);
	memcpy(h->bytes, key.p, key.n);
	h->key = (struct slice){ h->bytes, key.n };
	table_put(&s->hosts, h->key, h);
	list_add_tail(&s->used, &h->node);
	return h;
}

void tls_sessions_put(struct tls_sessions *s, const struct tls_session_key *k, SSL_SESSION *take_x)
{
	struct host_sessions *h;
	struct key_bytes bytes;
	struct slice key;

	if (!key_make(k, &bytes, &key)) {
		SSL_SESSION_free(take_x);
		return;
	}
	h = table_get(&s->hosts, key);
	if (!h)
		h = host_new(s, key);
	if (h->n == TLS_SESSION_EACH) {
		SSL_SESSION_free(h->v[0]);
		remove_at(s, h, 0);
	}
	h->v[h->n++] = take_x;
	count(s, 1);
}

/* Not longer than its ticket lives, nor than the certificate that was verified when it began. */
static bool holds(const SSL_SESSION *x)
{
	const X509 *cert = SSL_SESSION_get0_peer((SSL_SESSION *)x);

	return SSL_SESSION_is_resumable(x) && SSL_SESSION_get_time(x) + SSL_SESSION_get_timeout(x) > time(NULL) &&
	       (!cert || X509_cmp_current_time(X509_get0_notAfter(cert)) > 0);
}

static SSL_SESSION *newest(struct tls_sessions *s, struct host_sessions *h)
{
	SSL_SESSION *x = h->v[h->n - 1];

	if (!holds(x)) {
		SSL_SESSION_free(x);
		remove_at(s, h, h->n - 1);
		return NULL;
	}
	/* One of TLS 1.3 is used once (RFC 8446, C.4); one of 1.2 holds until the host gives another. */
	if (SSL_SESSION_get_protocol_version(x) >= TLS1_3_VERSION)
		remove_at(s, h, h->n - 1);
	else
		SSL_SESSION_up_ref(x);
	return x;
}

SSL_SESSION *tls_sessions_take(struct tls_sessions *s, const struct tls_session_key *k)
{
	SSL_SESSION *x = NULL;
	struct host_sessions *h;
	struct key_bytes bytes;
	struct slice key;

	if (!key_make(k, &bytes, &key))
		return NULL;
	h = table_get(&s->hosts, key);
	while (h && h->n && !x)
		x = newest(s, h);
	if (h && !h->n) {
		forget(s, h);
	} else if (h) {
		list_del(&h->node);
		list_add_tail(&s->used, &h->node);
	}
	return x;
}

struct tls_session_stat *tls_sessions_stat(struct tls_sessions *s)
{
	return &s->stat;
}

struct tls_sessions *tls_sessions_new(void)
{
	struct tls_sessions *s = mem_alloc(sizeof(*s));

	table_init(&s->hosts, 0);
	list_init(&s->used);
	return s;
}

void tls_sessions_free(struct tls_sessions *s)
{
	if (!s)
		return;
	while (!list_empty(&s->used))
		forget(s, container_of(s->used.next, struct host_sessions, node));
	table_fini(&s->hosts);
	free(s);
}
