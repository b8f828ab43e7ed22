/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local-rate-limit: so many requests pass in a time, the others are answered 429 (RFC 6585 4). Per node: the workers take
 * from one bucket. That of the settings stays while they do, whatever else a reload changes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "filter/bucket.h"
#include "weft/conf.h"
#include "weft/filter.h"
#include "weft/str.h"

#define FILL_MAX_S 86400.0                      /* for an empty bucket to be full again */

struct limit {
	uint32_t requests, burst;
	uint64_t per;                           /* ns */
	struct bucket *bucket;                  /* NULL: no limit */
};

static int limit_init(void *conf, struct err *e)
{
	struct limit *l = conf;

	if (!l->requests)
		return l->burst ? err_add(e, -EINVAL, "burst: want requests beside it") : 0;
	if (!l->burst)
		l->burst = l->requests;
	if ((double)l->burst / l->requests * (double)l->per > FILL_MAX_S * 1e9)
		return err_add(e, -EINVAL, "burst: at this rate it would take more than a day to come together");
	l->bucket = malloc(sizeof(*l->bucket));
	if (!l->bucket)
		return err_add(e, -ENOMEM, "out of memory");
	bucket_init(l->bucket, l->requests, l->per, l->burst);
	return 0;
}

static void limit_fini(void *conf)
{
	free(((struct limit *)conf)->bucket);
}

#define PER_AND_BURST                                                                                                  \
	CONF_ITEM(struct limit, per, "per", DURATION, .min = 1000000, .max = 3600000000000ll, .dflt = "1s", .help = "the time"), \
	CONF_ITEM(struct limit, burst, "burst", INT, .max = 1000000000, .dflt = "0",                                   \
		  .help = "that may come at once after a pause; 0: as many as requests")

static const struct conf_item listener_rows[] = {
	CONF_ITEM(struct limit, requests, "requests", INT, .max = 1000000000, .dflt = "0",
		  .help = "that pass in the time, of the node, over all workers; 0: no limit but those of rules"),
	PER_AND_BURST, CONF_END
};
static const struct conf_item rule_rows[] = {
	CONF_ITEM(struct limit, requests, "requests", INT, .required = true, .min = 1, .max = 1000000000,
		  .help = "of this rule that pass in the time, of the node, over all workers; the listener's limit does not count them"),
	PER_AND_BURST, CONF_END
};

static enum filter_verdict refuse(struct filter *f, uint64_t wait_ns)
{
	char seconds[24];
	struct msg_header after = { SLICE_LIT("retry-after"), { seconds, 0 } };
	struct proto_reply r = { .status = 429, .wire_status = MSG_NO_STATUS, .headers = &after, .nheaders = 1 };

	after.value.n = (size_t)snprintf(seconds, sizeof(seconds), "%llu", (unsigned long long)((wait_ns + 999999999) / 1000000000));
	filter_reply(f, &r, STREAM_RATE_LIMITED, "more requests than the limit allows");
	return FILTER_REPLY;
}

static enum filter_verdict limit_request(struct filter *f, struct msg *m)
{
	const struct limit *l = f->route_conf ? f->route_conf : f->conf;
	uint64_t wait = l->bucket ? bucket_take(l->bucket, f->info->begin_ns + f->info->head_ns) : 0;

	(void)m;
	return wait ? refuse(f, wait) : FILTER_NEXT;
}

extern const struct filter_ops filter_local_rate_limit;
const struct filter_ops filter_local_rate_limit = {
	.name = "local-rate-limit",
	.listener = { listener_rows, sizeof(struct limit), limit_init, limit_fini },
	.route = { rule_rows, sizeof(struct limit), limit_init, limit_fini },
	.request = limit_request,
};
