/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of routes in the words of the configuration, a line each: for /routes and /explain. The caller frees them. */
#pragma once
#include <jansson.h>
#include "model/router.h"

/* "PathPrefix /v2, GET, header x-user Exact bob"; "every request" for a rule without. */
char *route_match_words(const struct route_match *m);
/* "header x-user Exact bob" */
char *route_condition_words(enum route_lack kind, const struct text_match *t);
/* "to orders, weight 90, subset version=v1; to orders, weight 10", "redirect 301", "answer 404" */
char *route_action_words(const struct route_rule *r);
/* "version=v1, zone=z1"; empty for none */
char *route_subset_words(const struct name_value *v, size_t n);
