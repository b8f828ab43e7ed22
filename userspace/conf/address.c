// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/num.h"
#include "weft/conf.h"
#include "weft/str.h"

static int port_parse(struct slice text, uint16_t *out)
{
	uint64_t port;

	if (num_u64(text, &port) || !port || port > UINT16_MAX)
		return -EINVAL;
	*out = (uint16_t)port;
	return 0;
}

/*
 * Bytes of the address in front of a ":port", or all of it when there is none. 0: not of any form.
 */
static size_t host_len(struct slice text)
{
	const char *colon = memchr(text.p, ':', text.n);

	if (!colon)
		return text.n;
	return memchr(colon + 1, ':', text.p + text.n - colon - 1) ? text.n
								   : (size_t)(colon - text.p);
}

int conf_address_parse(struct slice text, struct conf_address *out)
{
	struct conf_address a = {0};
	struct slice host = text, rest = {0};
	bool bracket = text.n && text.p[0] == '[';

	if (!text.n)
		return -EINVAL;
	if (bracket) {
		const char *end = memchr(text.p, ']', text.n);

		if (!end)
			return -EINVAL;
		host = (struct slice){text.p + 1, end - text.p - 1};
		rest = (struct slice){end + 1, text.p + text.n - end - 1};
		if (!memchr(host.p, ':', host.n))
			return -EINVAL;
	} else {
		host.n = host_len(text);
		rest = (struct slice){text.p + host.n, text.n - host.n};
	}
	if (ip_parse(host, &a.ip))
		return -EINVAL;
	if (rest.n &&
	    (rest.p[0] != ':' || port_parse((struct slice){rest.p + 1, rest.n - 1}, &a.port)))
		return -EINVAL;
	*out = a;
	return 0;
}

const char *conf_address_name(const struct conf_address *a, char *out)
{
	char host[46];

	ip_name(&a->ip, host);
	if (!a->port)
		strcpy(out, host);
	else
		sprintf(out, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, a->port);
	return out;
}
