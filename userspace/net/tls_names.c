/* SPDX-License-Identifier: Apache-2.0 */
/* The names of a listener's certificates: sorted, lower case, the first certificate that has a name gets it. */
#include "net/tls_priv.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/vec.h"

struct name {
	char *text;
	unsigned order;
	SSL_CTX *ctx;
};

struct names {
	VEC(struct name) v;
	VEC(SSL_CTX *) held;
};

struct names *names_new(void)
{
	return mem_alloc(sizeof(struct names));
}

static void add(struct names *n, SSL_CTX *ctx, const ASN1_STRING *s)
{
	size_t len = (size_t)ASN1_STRING_length(s);
	char *text = mem_dup(ASN1_STRING_get0_data(s), len);

	/* A NUL within makes a name that nobody can ask for. */
	for (size_t i = 0; i < len; i++)
		text[i] = (char)tolower((unsigned char)text[i]);
	vec_push(&n->v, (struct name){ text, (unsigned)n->v.n, ctx });
}

static void add_common_name(struct names *n, SSL_CTX *ctx, X509 *x)
{
	X509_NAME *subject = X509_get_subject_name(x);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

	if (at >= 0)
		add(n, ctx, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

void names_add(struct names *n, SSL_CTX *ctx, bool own)
{
	X509 *x = SSL_CTX_get0_certificate(ctx);
	GENERAL_NAMES *sans = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	size_t before = n->v.n;

	for (int i = 0; i < sk_GENERAL_NAME_num(sans); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(sans, i);

		if (g->type == GEN_DNS)
			add(n, ctx, g->d.dNSName);
	}
	if (n->v.n == before)
		add_common_name(n, ctx, x);
	GENERAL_NAMES_free(sans);
	if (own)
		return;
	SSL_CTX_up_ref(ctx);
	vec_push(&n->held, ctx);
}

static int by_name(const void *a, const void *b)
{
	const struct name *x = a, *y = b;
	int d = strcmp(x->text, y->text);

	return d ? d : (x->order > y->order) - (x->order < y->order);
}

void names_sort(struct names *n)
{
	size_t kept = 0;

	if (!n->v.n)
		return;
	qsort(n->v.v, n->v.n, sizeof(n->v.v[0]), by_name);
	for (size_t i = 0; i < n->v.n; i++) {
		if (kept && !strcmp(n->v.v[kept - 1].text, n->v.v[i].text))
			free(n->v.v[i].text);
		else
			n->v.v[kept++] = n->v.v[i];
	}
	n->v.n = kept;
}

void names_free(struct names *n)
{
	if (!n)
		return;
	for (size_t i = 0; i < n->v.n; i++)
		free(n->v.v[i].text);
	for (size_t i = 0; i < n->held.n; i++)
		SSL_CTX_free(n->held.v[i]);
	vec_fini(&n->v);
	vec_fini(&n->held);
	free(n);
}

static int compare(const void *key, const void *entry)
{
	return strcmp(key, ((const struct name *)entry)->text);
}

static SSL_CTX *find(const struct names *n, const char *text)
{
	const struct name *f = n->v.n ? bsearch(text, n->v.v, n->v.n, sizeof(n->v.v[0]), compare) : NULL;

	return f ? f->ctx : NULL;
}

/* A wildcard stands for one label (RFC 6125, 6.4.3). */
SSL_CTX *names_find(const struct names *n, const char *sni)
{
	char text[256];
	size_t len = strlen(sni);
	const char *dot;
	SSL_CTX *ctx;

	if (len >= sizeof(text))
		return NULL;
	for (size_t i = 0; i <= len; i++)
		text[i] = (char)tolower((unsigned char)sni[i]);
	ctx = find(n, text);
	dot = strchr(text, '.');
	if (ctx || !dot || dot == text)
		return ctx;
	text[dot - text - 1] = '*';
	return find(n, dot - 1);
}
