/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers as people write them. Each parses the whole slice or fails with -EINVAL (not of this form) or -ERANGE (too
 * large); nothing is written on failure.
 */
#pragma once
#include "weft/types.h"

int num_u64(struct slice s, uint64_t *out);     /* decimal digits only */
int num_i64(struct slice s, int64_t *out);
int num_double(struct slice s, double *out);    /* "1", "0.1"; no exponent, no inf */
int num_duration(struct slice s, uint64_t *ns); /* "250ms" "10s" "1m" "1h" "1m30s" "0s"; units ns us ms s m h */
int num_size(struct slice s, uint64_t *bytes);  /* "1024" "64KiB" "1MiB" "2GiB" */
int num_percent(struct slice s, double *out);   /* "1%" "0.1%" or bare "1" -> 1.0 */
/* "1.5s", "250ms": shortest exact form. out holds at least 32 bytes. */
const char *num_duration_str(uint64_t ns, char *out);
const char *num_size_str(uint64_t bytes, char *out);
