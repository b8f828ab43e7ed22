/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A net filter that changes bytes: everything is XORed with a key, both ways, behind a greeting: "mask". A client that does not
 * begin with it is refused, one that is slow is waited for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <weft/plugin.h>

struct mask_conf {              /* netFilters[]: {type: mask, key: 42, greeting: hello} */
	uint32_t key;
	struct slice greeting;
	char *copy;             /* of greeting, by init: what lives as long as a connection */
};

struct mask {
	size_t greeted;         /* bytes of the greeting that came */
	struct buf raw;         /* read and not unmasked */
};

static const struct conf_item mask_rows[] = {
	CONF_ITEM(struct mask_conf, key, "key", INT, .required = true, .min = 1, .max = 255, .help = "of the XOR"),
	CONF_ITEM(struct mask_conf, greeting, "greeting", STRING, .max = 100, .dflt = "hello", .help = "a connection begins with it"),
	CONF_END
};

static int mask_conf_init(void *conf, struct err *e)
{
	struct mask_conf *c = conf;

	if (!c->greeting.n)
		return err_add(e, -EINVAL, "greeting: want some");
	c->copy = malloc(c->greeting.n);
	if (!c->copy)
		return -ENOMEM;
	memcpy(c->copy, c->greeting.p, c->greeting.n);
	return 0;
}

static void mask_conf_fini(void *conf)
{
	free(((struct mask_conf *)conf)->copy);
}

static int mask_open(struct net_filter *f)
{
	const struct mask_conf *c = f->conf;
	struct mask *s = f->state;

	while (s->greeted < c->greeting.n) {
		struct slice d = buf_head(&s->raw);
		ssize_t n = d.n ? (ssize_t)d.n : net_next_read(f, &s->raw);

		if (n <= 0)
			return n ? (int)n : -ECONNRESET;
		d = buf_head(&s->raw);
		if (d.p[0] != c->copy[s->greeted]) {
			net_filter_why(f, "no greeting");
			return -EACCES;
		}
		s->greeted++;
		buf_drop(&s->raw, 1);
	}
	return 0;
}

static int mask_bytes(const struct mask_conf *c, struct buf *to, struct buf *from)
{
	while (from->len) {
		struct slice d = buf_head(from);
		size_t n;
		char *p = buf_room(to, 1, &n);

		if (!p)
			return -ENOMEM;
		n = n < d.n ? n : d.n;
		for (size_t i = 0; i < n; i++)
			p[i] = (char)(d.p[i] ^ (int)c->key);
		buf_commit(to, n);
		buf_drop(from, n);
	}
	return 0;
}

static ssize_t mask_read(struct net_filter *f, struct buf *dst)
{
	struct mask *s = f->state;
	ssize_t n = s->raw.len ? (ssize_t)s->raw.len : net_next_read(f, &s->raw);

	return n <= 0 ? n : mask_bytes(f->conf, dst, &s->raw) ? -ENOMEM : n;
}

/* What the layer below does not take stays in src as it was. */
static ssize_t mask_write(struct net_filter *f, struct buf *src)
{
	const struct mask_conf *c = f->conf;
	char piece[4096];
	ssize_t sent = 0, n = 1;

	while (src->len && n > 0) {
		struct slice d = buf_head(src);

		d.n = d.n < sizeof(piece) ? d.n : sizeof(piece);
		for (size_t i = 0; i < d.n; i++)
			piece[i] = (char)(d.p[i] ^ (int)c->key);
		n = net_next_send(f, piece, d.n);
		if (n > 0) {
			buf_drop(src, (size_t)n);
			sent += n;
		}
	}
	return sent ? sent : n;
}

static size_t mask_pending(const struct net_filter *f)
{
	return ((const struct mask *)f->state)->raw.len;
}

static void mask_close(struct net_filter *f)
{
	struct mask *s = f->state;

	buf_fini(&s->raw);
}

static const struct net_filter_ops net_mask = {
	.name = "mask",
	.conf = mask_rows,
	.conf_size = sizeof(struct mask_conf),
	.state_size = sizeof(struct mask),
	.conf_init = mask_conf_init,
	.conf_fini = mask_conf_fini,
	.open = mask_open,
	.read = mask_read,
	.write = mask_write,
	.pending = mask_pending,
	.close = mask_close,
};

WEFT_PLUGIN(.name = "mask", .version = "1", .net_filters = (const struct net_filter_ops *const[]){ &net_mask, NULL });
