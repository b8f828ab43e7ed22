// SPDX-License-Identifier: Apache-2.0
#include "base/protocols.h"

#include <errno.h>
#include <stdio.h>

#include "base/extensions.h"
#include "weft/str.h"

const struct proto_ops *const *protocols(void)
{
	return extensions.protos;
}

const struct proto_ops *protocol_rpc(struct slice name)
{
	for (const struct proto_ops *const *p = extensions.protos; *p; p++)
		if ((*p)->flags & PROTO_RPC && slice_eq_str(name, (*p)->name))
			return *p;
	return NULL;
}

bool protocol_pings(struct slice name)
{
	const struct proto_ops *p = protocol_rpc(name);

	return p && p->put_ping;
}

const struct proto_ops *protocol_alpn(struct slice name)
{
	for (const struct proto_ops *const *p = extensions.protos; *p; p++) {
		const char *const *word = (*p)->flags & PROTO_RPC ? (*p)->alpn : NULL;

		for (; word && *word; word++)
			if (slice_eq_str(name, *word))
				return *p;
	}
	return NULL;
}

int protocol_unknown(struct slice name, const char *first, struct err *e)
{
	char names[256];
	size_t n = 0;

	names[0] = '\0';
	for (const struct proto_ops *const *p = extensions.protos; *p && n < sizeof(names); p++)
		if ((*p)->flags & PROTO_RPC)
			n += (size_t)snprintf(names + n, sizeof(names) - n, ", %s", (*p)->name);
	return err_add(e, -EINVAL, "want one of: %s%s; not %.*s", first, names, SLICE_ARG(name));
}
