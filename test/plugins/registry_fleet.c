/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service and its hosts, as the settings name them: "fleet". After `grow` the last host comes too, so that a second
 * transaction is seen.
 */
#include <errno.h>
#include <netinet/in.h>
#include <weft/plugin.h>

struct fleet_conf {             /* registries[]: {name: x, type: fleet, cluster: web, hosts: ["10.0.0.1:80"], grow: 1s} */
	struct slice cluster;
	struct conf_list hosts; /* of struct conf_address */
	uint64_t grow;          /* ns; 0: all at once */
};

static const struct conf_item fleet_rows[] = {
	CONF_ITEM(struct fleet_conf, cluster, "cluster", STRING, .required = true, .max = 253, .help = "its name"),
	CONF_ITEMS(struct fleet_conf, hosts, "hosts", ADDRESS, struct conf_address, .min = 1, .help = "who serves it"),
	CONF_ITEM(struct fleet_conf, grow, "grow", DURATION, .help = "the last host comes so much later; 0s: with the others"),
	CONF_END
};

static int fleet_check(const void *conf, struct err *e)
{
	const struct fleet_conf *c = conf;

	return c->hosts.n ? 0 : err_add(e, -EINVAL, "hosts: want at least one");
}

static void fleet_put_host(struct registry *r, size_t i)
{
	const struct fleet_conf *conf = r->conf;
	const struct conf_address *a = (const struct conf_address *)conf->hosts.v + i;
	struct fact_mark mark = { .registry = r->name };

	r->sink->put(r->sink_arg, &host_new(conf->cluster, &a->ip, a->port, &mark)->fact);
}

static void fleet_grow(struct registry *r)
{
	const struct fleet_conf *conf = r->conf;

	r->sink->begin(r->sink_arg);
	fleet_put_host(r, conf->hosts.n - 1);
	r->sink->commit(r->sink_arg, 2);
}

static int fleet_start(struct registry *r, struct err *e)
{
	const struct fleet_conf *conf = r->conf;
	struct fact_mark mark = { .registry = r->name };
	size_t n = conf->hosts.n - (conf->grow > 0);

	(void)e;
	r->sink->begin(r->sink_arg);
	r->sink->put(r->sink_arg, fact_new(FACT_CLUSTER, conf->cluster, &mark));
	for (size_t i = 0; i < n; i++)
		fleet_put_host(r, i);
	r->sink->commit(r->sink_arg, 1);
	r->sink->synced(r->sink_arg);
	if (conf->grow)
		registry_timer(r, conf->grow / 1000000, fleet_grow);
	return 0;
}

static const struct registry_ops registry_fleet = {
	.name = "fleet",
	.conf = fleet_rows,
	.conf_size = sizeof(struct fleet_conf),
	.check = fleet_check,
	.start = fleet_start,
};

WEFT_PLUGIN(.name = "fleet", .version = "0.9-beta", .registries = (const struct registry_ops *const[]){ &registry_fleet, NULL });
