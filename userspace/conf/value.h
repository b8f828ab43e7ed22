/* SPDX-License-Identifier: Apache-2.0 */
/* One scalar of each type: from text into its field, and what is allowed in words. */
#pragma once
#include "weft/conf.h"

/*
 * text may be borrowed: strings are copied into r's arena. 0, or -EINVAL with words ("70000 is out
 * of range ...").
 */
int value_parse(struct conf_reader *r, const struct conf_item *item, enum conf_type type, const struct conf_node *n,
		void *out, struct err *e);
/*
 * "a whole number from 1 to 65535": what a row (of_elements: an element of its list) takes. Returns
 * out.
 */
const char *value_want(const struct conf_item *item, enum conf_type type, char *out, size_t size);
/* An integer or enum field of any size. */
uint64_t value_load(const void *field, size_t size);
/* The bounds in force. */
int64_t value_min(const struct conf_item *item);
int64_t value_max(const struct conf_item *item, size_t size);
