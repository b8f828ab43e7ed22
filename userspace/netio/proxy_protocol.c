/* SPDX-License-Identifier: Apache-2.0 */
#include "netio/proxy_protocol.h"

#include <errno.h>
#include <string.h>
#include "netio/proxy_header.h"

/* ---- from clients ---------------------------------------------------------------------------------------------- */

struct in {
	struct buf held;                        /* a part of the header */
	bool trusted, required;
};

static int in_start(struct net_filter *f)
{
	const struct listener *l = f->conf;
	struct in *s = f->state;

	s->required = l->proxy_header == PROXY_HEADER_REQUIRED;
	s->trusted = !l->ntrusted || addr_in_blocks(&f->peer->remote.ip, l->trusted, l->ntrusted);
	return 0;
}

static int keep(struct net_filter *f, struct slice *to, struct slice s)
{
	char *copy;

	if (!s.n)
		return 0;
	copy = net_filter_alloc(f, s.n);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, s.p, s.n);
	*to = (struct slice){ copy, s.n };
	return 0;
}

static int learn(struct net_filter *f, const struct proxy_head *h)
{
	int err = keep(f, &f->peer->sni, h->authority);

	if (!err)
		err = keep(f, &f->peer->alpn, h->alpn);
	if (h->known) {
		f->peer->source = h->source;
		f->peer->original = h->destination;
	}
	return err;
}

static int refuse(struct net_filter *f, const char *why)
{
	net_filter_why(f, "PROXY protocol: %s", why);
	return -EPROTO;
}

/* 0: done, and what is left of the bytes is not the header's. */
static int judge(struct net_filter *f)
{
	struct in *s = f->state;
	size_t most = s->held.len < PROXY_HEADER_MAX ? s->held.len : PROXY_HEADER_MAX;
	struct slice bytes = buf_pull(&s->held, most);
	struct proxy_head h;
	const char *why;
	ssize_t n;
	int err;

	if (!bytes.p)
		return -ENOMEM;
	n = proxy_header_parse(bytes, &h, &why);
	if (n == 0 && s->required)
		return refuse(f, "the client sent no header");
	if (n < 0)
		return n == -EAGAIN ? -EAGAIN : refuse(f, why);
	err = n ? learn(f, &h) : 0;
	buf_drop(&s->held, (size_t)n);
	return err;
}

static int in_open(struct net_filter *f)
{
	struct in *s = f->state;
	ssize_t n;
	int err;

	if (!s->trusted) {
		if (!s->required)
			return 0;
		net_filter_why(f, "PROXY protocol: the client is not one of those whose header is trusted");
		return -EACCES;
	}
	do {
		n = net_next_read(f, &s->held);
		if (n == 0 && (s->required || s->held.len))
			return refuse(f, s->held.len ? "the client ended it within the header" : "the client ended it without a header");
		if (n <= 0)
			return (int)n;
		err = judge(f);
	} while (err == -EAGAIN);
	if (!err)
		net_filter_unread(f, &s->held);
	return err;
}

static unsigned in_want(const struct net_filter *f)
{
	(void)f;
	return NET_WANT_READ;
}

static void in_close(struct net_filter *f)
{
	buf_fini(&((struct in *)f->state)->held);
}

const struct net_filter_ops proxy_protocol_ops = {
	.name = "proxy-protocol", .state_size = sizeof(struct in),
	.start = in_start, .open = in_open, .want = in_want, .close = in_close,
};

/* ---- towards hosts --------------------------------------------------------------------------------------------- */

struct out {
	struct buf left;
	bool made;
};

static int out_open(struct net_filter *f)
{
	struct out *s = f->state;
	char header[PROXY_HEADER_OUT_MAX];

	if (!s->made && buf_add(&s->left, header, proxy_header_write(header, &f->peer->source, &f->peer->original)))
		return -ENOMEM;
	s->made = true;
	while (s->left.len) {
		ssize_t n = net_next_write(f, &s->left);

		if (n < 0)
			return (int)n;
	}
	return 0;
}

static unsigned out_want(const struct net_filter *f)
{
	return ((const struct out *)f->state)->left.len ? NET_WANT_WRITE : 0;
}

static void out_close(struct net_filter *f)
{
	buf_fini(&((struct out *)f->state)->left);
}

const struct net_filter_ops proxy_protocol_out_ops = {
	.name = "proxy-protocol", .state_size = sizeof(struct out), .open = out_open, .want = out_want, .close = out_close,
};
