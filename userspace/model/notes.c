/* SPDX-License-Identifier: Apache-2.0 */
#include "model/notes.h"

#include <stdio.h>

#include "weft/str.h"

const char *notes_family(const struct snapshot *s, const struct service_fact *f, const struct service_port *p, char *out)
{
	const struct cluster *c = snapshot_cluster(s, p->cluster);
	bool has[2] = { false, false };
	char text[64];

	if (!c || !c->nhosts || f->nroutes)
		return NULL;
	for (size_t i = 0; i < c->nhosts; i++)
		has[ip_is_v4(&c->hosts[i]->ip)] = true;
	for (size_t i = 0; i < f->naddrs; i++) {
		bool v4 = ip_is_v4(&f->addrs[i]);

		if (has[v4])
			continue;
		snprintf(out, NOTES_TEXT, "%s is an IPv%d address, and all hosts of cluster %.*s are IPv%d: it is refused",
			 ip_name(&f->addrs[i], text), v4 ? 4 : 6, (int)(c->name.n < 100 ? c->name.n : 100), c->name.p, v4 ? 6 : 4);
		return out;
	}
	return NULL;
}
