/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates made for a test, as PEM texts in secrets that tlsctx_secrets finds by name. */
#pragma once
#include "net/tlsctx.h"

struct cert_want {
	const char *name;                       /* of the secret, and common name */
	const char *issuer;                     /* a secret made before; NULL: by itself, a CA */
	const char *sans;                       /* "DNS:a.example,URI:spiffe://td/a"; NULL: none */
	int from_s, to_s;                       /* validity, seconds from now; to_s 0: a day */
};

void cert_make(const struct cert_want *w);
void cert_text(const char *name, const char *text); /* a secret that is no certificate */
void certs_free(void);
extern const struct tlsctx_secrets certs;
const struct secret *cert_find(const char *name);
