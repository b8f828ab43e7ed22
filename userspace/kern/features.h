/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this kernel and these privileges can do, found by creating tiny maps and loading tiny programs, never by version.
 */
#pragma once
#include "weft/types.h"

enum features_need {
	FEATURES_BALANCE,                       /* without it: rung off */
	FEATURES_CAPTURE,                       /* without it: services with routes are left to their fail mode */
	FEATURES_SHORT_CIRCUIT,                 /* without it: rung balance */
	FEATURES_OPTIONAL,                      /* without it: something is slower or less detailed; detail says what */
};

struct features_row {
	const char *name;                       /* "cgroup/connect4", "bpf_set_retval" */
	enum features_need need;
	const char *use;                        /* what weft does with it */
	bool ok;
	int err;                                /* negative errno of the probe; 0 when ok */
	char detail[96];                        /* last line of the verifier, or words; "" when ok */
};

struct features {
	size_t n;
	struct features_row row[48];
};

/* Takes about 50 ms. Needs no struct kern and leaves nothing behind. */
void features_probe(struct features *f);
/* First missing row that balancing or this need asks for; NULL: all there. */
const struct features_row *features_missing(const struct features *f, enum features_need need);
const struct features_row *features_find(const struct features *f, const char *name); /* NULL: no such row */
