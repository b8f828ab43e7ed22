/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One secret from its files: "CERT|KEY" is a chain, leaf first, with its private key, "CA" the certificates of CAs; all
 * of them PEM. What is read is written anew, so a fact holds certificates and keys and nothing else of a file.
 */
#pragma once
#include <jansson.h>
#include "weft/registry.h"

#define SECRET_FILE_MAX (480u << 10)            /* bytes of one file: two of them fit a fact */

struct secret_text {
	char *certificate, *key;                /* key: NULL for CAs */
	size_t ncertificate, nkey;
	json_t *chain;                          /* of each certificate: subject, issuer, sans, times, sha256; never a key */
	int64_t not_after;                      /* of the leaf, seconds since 1970; 0 for CAs */
	char *warning;                          /* "expired since ..."; NULL: nothing to warn of */
};

/* 0, or -errno with words that name the file. Nothing is left in out on failure. */
int secret_read(struct slice name, struct secret_text *out, struct err *e);
void secret_fini(struct secret_text *t);        /* accepts a zeroed one */
struct fact *secret_fact(struct slice name, const struct secret_text *t, const struct fact_mark *mark);
/* fn for each secret that f names. */
void secret_each(const struct fact *f, void (*fn)(void *arg, struct slice name), void *arg);
/* Paths of a name, malloc'd; the second one is NULL for CAs. */
void secret_paths(struct slice name, char *give_paths[2]);
