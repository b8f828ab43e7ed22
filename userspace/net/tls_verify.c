/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose certificate is accepted: the chain leads to the trusted CA, and the leaf has one of the wanted names. A wanted name
 * with "://" is a URI, and the leaf must then have exactly one (X.509-SVID 2); its DNS names and subject count for
 * nothing. Others are IP addresses or DNS names.
 */
#include "net/tls_priv.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "weft/str.h"

#define SUBJECT_MAX 200

struct verify_rule *verify_rule_new(bool server, const struct slice *sans, size_t n)
{
	struct verify_rule *v = mem_alloc(sizeof(*v));

	v->server = server;
	v->nsans = n;
	v->sans = mem_alloc((n + 1) * sizeof(*v->sans));
	for (size_t i = 0; i < n; i++)
		v->sans[i] = mem_dup(sans[i].p, sans[i].n);
	return v;
}

void verify_rule_free(struct verify_rule *v)
{
	if (!v)
		return;
	for (size_t i = 0; i < v->nsans; i++)
		free(v->sans[i]);
	free(v->sans);
	free(v);
}

struct slice verify_uri(const X509 *x, GENERAL_NAMES **take_names, bool *many)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	struct slice uri = { NULL, 0 };
	int found = 0;

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);

		if (g->type != GEN_URI || found++)
			continue;
		uri.p = (const char *)ASN1_STRING_get0_data(g->d.uniformResourceIdentifier);
		uri.n = (size_t)ASN1_STRING_length(g->d.uniformResourceIdentifier);
	}
	*take_names = names;
	*many = found > 1;
	return found == 1 ? uri : (struct slice){ NULL, 0 };
}

static bool is_ip(const char *s)
{
	unsigned char b[16];

	return inet_pton(AF_INET, s, b) == 1 || inet_pton(AF_INET6, s, b) == 1;
}

static bool has_name(X509 *x, const char *want, struct slice uri)
{
	if (strstr(want, "://"))
		return slice_eq_str(uri, want);
	if (is_ip(want))
		return X509_check_ip_asc(x, want, 0) == 1;
	return X509_check_host(x, want, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
}

/* NULL: accepted. Else why not. */
static const char *check_names(X509 *x, const struct verify_rule *v, const struct net_peer *peer)
{
	GENERAL_NAMES *names;
	char host[256];
	bool many, ok = false;
	struct slice uri = verify_uri(x, &names, &many);

	for (size_t i = 0; i < v->nsans && !ok; i++)
		ok = has_name(x, v->sans[i], uri);
	if (!v->nsans && v->server) {
		ok = !many;
	} else if (!v->nsans) {
		snprintf(host, sizeof(host), "%.*s", SLICE_ARG(peer->sni));
		ok = peer->sni.n && peer->sni.n < sizeof(host) && has_name(x, host, uri);
	}
	GENERAL_NAMES_free(names);
	if (ok)
		return NULL;
	return many	 ? "it has more than one URI, which no SPIFFE certificate may" :
	       v->nsans	 ? "it has none of the names in sans" :
	       peer->sni.n ? "it is not for this name" :
			     "there is no name to check it for: set tls.sni or tls.sans";
}

static void say(struct net_filter *f, X509 *x, int depth, const char *why)
{
	char subject[SUBJECT_MAX] = "no certificate";

	if (x)
		X509_NAME_oneline(X509_get_subject_name(x), subject, sizeof(subject));
	net_filter_why(f, "the peer's certificate is refused: %s (%s, depth %d, server name \"%.*s\")", why, subject, depth,
		       SLICE_ARG(f->peer->sni));
}

int verify_chain(X509_STORE_CTX *sc, void *rule)
{
	const SSL *ssl = X509_STORE_CTX_get_ex_data(sc, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct net_filter *f = SSL_get_app_data(ssl);
	const char *why;
	int ok = X509_verify_cert(sc);

	if (ok <= 0) {
		say(f, X509_STORE_CTX_get_current_cert(sc), X509_STORE_CTX_get_error_depth(sc),
		    X509_verify_cert_error_string(X509_STORE_CTX_get_error(sc)));
		return ok;
	}
	why = check_names(X509_STORE_CTX_get0_cert(sc), rule, f->peer);
	if (!why)
		return 1;
	X509_STORE_CTX_set_error(sc, X509_V_ERR_APPLICATION_VERIFICATION);
	say(f, X509_STORE_CTX_get0_cert(sc), 0, why);
	return 0;
}
