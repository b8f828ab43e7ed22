/* SPDX-License-Identifier: Apache-2.0 */
/* One request in `every` to the hosts of one port, the others to the rest in turn: "nth". */
#include <weft/plugin.h>

struct nth_conf {               /* loadBalancerSettings: {port: 9002, every: 4} */
	uint16_t port;
	uint32_t every;
};

struct nth {
	uint32_t n, next[2];    /* requests so far; where the turn of either kind is */
};

static const struct conf_item nth_rows[] = {
	CONF_ITEM(struct nth_conf, port, "port", INT, .required = true, .min = 1, .max = 65535, .help = "of the hosts that get less"),
	CONF_ITEM(struct nth_conf, every, "every", INT, .min = 2, .max = 1000, .dflt = "10", .help = "one request in so many"),
	CONF_END
};

/* The next one in turn that has the port, or that has it not. */
static uint32_t nth_next(struct lb *lb, const struct lb_ask *ask, bool with)
{
	const struct nth_conf *conf = lb->conf;
	struct nth *s = lb->state;

	for (uint32_t k = 0; k < lb->set->n; k++) {
		uint32_t i = (s->next[with] + k) % lb->set->n;

		if ((lb->set->hosts[i].host->port == conf->port) == with && lb_usable(lb, ask, i)) {
			s->next[with] = i + 1;
			return i;
		}
	}
	return LB_NONE;
}

static uint32_t nth_pick(struct lb *lb, const struct lb_ask *ask)
{
	const struct nth_conf *conf = lb->conf;
	struct nth *s = lb->state;
	bool with = ++s->n % conf->every == 0;
	uint32_t i = nth_next(lb, ask, with);

	return i == LB_NONE ? nth_next(lb, ask, !with) : i;
}

static int nth_init(struct lb *lb, const struct lb *old)
{
	if (old)
		*(struct nth *)lb->state = *(const struct nth *)old->state;
	return 0;
}

static const struct lb_ops lb_nth = {
	.name = "nth",
	.conf = nth_rows,
	.conf_size = sizeof(struct nth_conf),
	.state_size = sizeof(struct nth),
	.init = nth_init,
	.pick = nth_pick,
};

WEFT_PLUGIN(.name = "nth", .version = "1.2", .lbs = (const struct lb_ops *const[]){ &lb_nth, NULL });
