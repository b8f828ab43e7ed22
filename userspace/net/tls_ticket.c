/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys of session tickets (RFC 5077, RFC 8446 4.6.1). One set for all workers and listeners: the control thread makes a new
 * set at each rotation and swaps the pointer; a set that was replaced is erased two rotations later, when no handshake
 * that was looking at it can still be running. Sets lie in pages that no dump holds, and so does the page in which the next
 * process finds them: written to the slot that is not in use, and then named, so that a death in between leaves the old one.
 */
#include "net/tls_priv.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "base/clock.h"
#include "base/magic.h"
#include "base/mem.h"

#define PERIOD_NS (TLSCTX_ROTATE_S * SEC)
#define PAGE_MAGIC 0x7765667474696b31u

struct ticket_key {
	uint64_t made_ns;                       /* of the machine's monotonic clock */
	unsigned char name[16], cipher[32], mac[32];
};

struct key_set {
	uint32_t n, pad;
	struct ticket_key key[TLSCTX_TICKET_KEYS]; /* newest first; new tickets are sealed with it */
};

/* Shared with the next process, whose word is another's: what is found is checked. */
struct ticket_page {
	uint64_t magic;
	_Atomic uint32_t which;
	uint32_t pad;
	struct key_set slot[2];
};
_Static_assert(sizeof(struct ticket_page) <= TLSCTX_TICKET_PAGE, "kept by the agent as so many bytes");

struct tickets {
	struct ticket_page *page;               /* NULL: nobody keeps them */
	refcount refs;
	struct key_set *_Atomic now;
	struct key_set *old[2];                 /* control thread's: replaced last, and before */
};

static struct key_set *key_set_new(void)
{
	struct key_set *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (s == MAP_FAILED)
		return NULL;
	madvise(s, sizeof(*s), MADV_DONTDUMP);
	return s;
}

static void key_set_free(struct key_set *s)
{
	if (!s)
		return;
	OPENSSL_cleanse(s, sizeof(*s));
	munmap(s, sizeof(*s));
}

static struct key_set *key_set_next(const struct key_set *old)
{
	struct key_set *s = key_set_new();

	if (!s)
		return NULL;
	if (RAND_bytes((unsigned char *)&s->key[0], sizeof(s->key[0])) != 1) {
		key_set_free(s);
		return NULL;
	}
	s->key[0].made_ns = clock_ns();
	s->n = 1;
	for (unsigned i = 0; old && i < old->n && s->n < TLSCTX_TICKET_KEYS; i++)
		s->key[s->n++] = old->key[i];
	return s;
}

static struct key_set *current(const struct tickets *t)
{
	return atomic_load_explicit(&t->now, memory_order_relaxed);
}

static void page_write(const struct tickets *t)
{
	struct ticket_page *p = t->page;
	uint32_t to;

	if (!p)
		return;
	to = !atomic_load_explicit(&p->which, memory_order_relaxed);
	p->slot[to] = *current(t);
	atomic_store_explicit(&p->which, to, memory_order_release);
	OPENSSL_cleanse(&p->slot[!to], sizeof(p->slot[!to]));
	p->magic = PAGE_MAGIC;
}

static void replace(struct tickets *t, struct key_set *take_next)
{
	struct key_set *old = current(t);

	key_set_free(t->old[1]);
	t->old[1] = t->old[0];
	t->old[0] = old;
	atomic_store_explicit(&t->now, take_next, memory_order_release);
	page_write(t);
}

int tickets_rotate(struct tickets *t)
{
	struct key_set *next = key_set_next(current(t));

	if (!next)
		return -1;
	replace(t, next);
	return 0;
}

/* Those that are good for some time yet; none: NULL. */
static struct key_set *page_read(const struct ticket_page *p)
{
	uint32_t which = atomic_load_explicit(&p->which, memory_order_acquire);
	const struct key_set *from = &p->slot[which & 1];
	uint64_t now = clock_ns();
	struct key_set *s;

	if (p->magic != PAGE_MAGIC || which > 1 || !from->n || from->n > TLSCTX_TICKET_KEYS)
		return NULL;
	s = key_set_new();
	for (unsigned i = 0; s && i < from->n; i++) {
		if (from->key[i].made_ns <= now && now - from->key[i].made_ns < TLSCTX_TICKET_KEYS * PERIOD_NS)
			s->key[s->n++] = from->key[i];
	}
	if (s && s->n)
		return s;
	key_set_free(s);
	return NULL;
}

unsigned tickets_keep(struct tickets *t, void *page, bool take)
{
	struct key_set *found = take ? page_read(page) : NULL;
	unsigned n = found ? found->n : 0;

	t->page = page;
	if (found)
		replace(t, found);
	else
		page_write(t);
	return n;
}

unsigned tickets_age(const struct tickets *t, uint64_t *newest_ns)
{
	const struct key_set *s = current(t);
	uint64_t now = clock_ns();

	*newest_ns = now > s->key[0].made_ns ? now - s->key[0].made_ns : 0;
	return s->n;
}

struct tickets *tickets_new(void)
{
	struct tickets *t = mem_alloc(sizeof(*t));

	atomic_init(&t->refs, 1);
	if (!tickets_rotate(t))
		return t;
	free(t);
	return NULL;
}

void tickets_hold(struct tickets *t)
{
	ref_hold(&t->refs);
}

void tickets_drop(struct tickets *t)
{
	if (!t || !ref_drop(&t->refs))
		return;
	key_set_free(atomic_load_explicit(&t->now, memory_order_relaxed));
	key_set_free(t->old[0]);
	key_set_free(t->old[1]);
	free(t);
}

static int start(const struct ticket_key *k, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int seal)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)k->mac, sizeof(k->mac)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->cipher, iv, seal) == 1 &&
	       EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* 1: done; 2: done, and a new ticket should follow; 0: not one of ours; -1: error */
static int ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int seal)
{
	const struct tickets *t = ctx_data(SSL_get_SSL_CTX(ssl))->tickets;
	const struct key_set *s = atomic_load_explicit(&t->now, memory_order_acquire);

	if (seal) {
		if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1)
			return -1;
		memcpy(name, s->key[0].name, sizeof(s->key[0].name));
		return start(&s->key[0], iv, cipher, mac, 1) ? 1 : -1;
	}
	for (unsigned i = 0; i < s->n; i++) {
		if (CRYPTO_memcmp(name, s->key[i].name, sizeof(s->key[i].name)))
			continue;
		/* In TLS 1.3 a ticket is used once (RFC 8446, C.4). */
		return !start(&s->key[i], iv, cipher, mac, 0) ? -1 : i || SSL_version(ssl) >= TLS1_3_VERSION ? 2 : 1;
	}
	return 0;
}

/* A session outlives its peer's certificate no more than a connection may: then the handshake is done in full. */
static SSL_TICKET_RETURN opened(SSL *ssl, SSL_SESSION *session, const unsigned char *name, size_t n, SSL_TICKET_STATUS status,
				void *arg)
{
	const X509 *x = session ? SSL_SESSION_get0_peer(session) : NULL;

	(void)ssl, (void)name, (void)n, (void)arg;
	if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	if (x && X509_cmp_current_time(X509_get0_notAfter(x)) <= 0)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

void tickets_use(SSL_CTX *ctx)
{
	SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, ticket_key);
	SSL_CTX_set_session_ticket_cb(ctx, NULL, opened, NULL);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_timeout(ctx, TLSCTX_TICKET_KEYS * TLSCTX_ROTATE_S);
	SSL_CTX_set_num_tickets(ctx, 1);
}
