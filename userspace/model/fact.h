/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts: made by fact_new() (registry.h), a struct and small blocks while their maker fills them; packed by the store
 * into one allocation of the exact size, in which equal places, localities and pair lists are shared through the store's
 * intern table. Control thread only.
 */
#pragma once
#include "weft/registry.h"

#define fact_MAGIC 0xfac7
#define FACT_BYTES_MAX (1u << 20)               /* of a fact on the wire */

struct home;                                    /* intern table and slots (home.h) */

extern const char *const fact_words[FACT_KINDS]; /* "node", "cluster", "host" ... */

struct fact *fact_hold(const struct fact *f);   /* the same, one reference more */
/* Same kind, key and content. Mark and slot do not count. */
bool fact_equal(const struct fact *a, const struct fact *b);
/* A fact of one's own with the content of f, to change and put again. Not packed, no slot. */
struct fact *fact_clone(const struct fact *f);
/*
 * As fact_clone, but packed, with the mark given. It keeps home alive.
 */
struct fact *fact_pack(struct home *home, const struct fact *f, const struct fact_mark *mark);
size_t fact_size(const struct fact *packed);    /* bytes of its allocation */
/* "service web.default", "node"; cut to size, always terminated. Returns out. */
const char *fact_name(const struct fact *f, char *out, size_t size);
/* "files services.d/web.yaml:12", "k8s default/web", "?" when nothing is known. Returns out. */
const char *fact_mark_name(const struct fact_mark *m, char *out, size_t size);
/* "10.0.0.1", "2001:db8::1"; out holds at least 46 bytes. Returns out. */
const char *ip_name(const struct ip *ip, char *out);
/* Text of any such form; 0 or -EINVAL. */
int ip_parse(struct slice text, struct ip *out);
