/* SPDX-License-Identifier: Apache-2.0 */
#include "client/dial.h"

#include <ares.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/mem.h"
#include "net/addr.h"
#include "net/dns_channel.h"
#include "net/sock.h"
#include "net/tlsctx.h"
#include "netio/tls.h"
#include "weft/client.h"
#include "weft/conf.h"
#include "weft/str.h"

static void next(struct dial *d);

/* ---- names -------------------------------------------------------------------------------------------------- */

/* A question cannot be taken back: it outlives who asked. */
struct dial_lookup {
	struct dial *dial;                      /* NULL: nobody waits any more */
	struct dialler *dialler;
	char host[URL_HOST_MAX + 1];
};

static void failed(struct dial *d, int err, const char *words)
{
	conn_close(&d->conn);
	d->on->failed(d, err, words);
}

/* While nothing works and nobody waits, resolv.conf is read anew: it may have been that. */
static struct dns_channel *channel(struct dialler *d, struct err *e)
{
	if (d->dns && d->dns_failed && !dns_channel_busy(d->dns)) {
		dns_channel_free(d->dns);
		d->dns = NULL;
	}
	if (!d->dns)
		d->dns = dns_channel_new(d->loop, d->servers, e);
	return d->dns;
}

static void take_addresses(struct dial *d, const struct ares_addrinfo *answer)
{
	for (const struct ares_addrinfo_node *a = answer->nodes; a && d->nips < DIAL_ADDRESSES_MAX; a = a->ai_next) {
		struct sockaddr_storage ss = { 0 };

		if ((a->ai_family != AF_INET && a->ai_family != AF_INET6) || a->ai_addrlen > sizeof(ss))
			continue;
		memcpy(&ss, a->ai_addr, a->ai_addrlen);
		d->ips[d->nips++] = addr_from_sockaddr(&ss).ip;
	}
}

static void finish(struct dial_lookup *k, int status, const struct ares_addrinfo *answer)
{
	struct dial *d = k->dial;

	if (d) {
		d->lookup = NULL;
		if (answer)
			take_addresses(d, answer);
		k->dialler->dns_failed = !d->nips;
		if (d->nips) {
			next(d);
		} else {
			snprintf(d->words, sizeof(d->words), "%s cannot be resolved: %s", k->host,
				 ares_strerror(answer ? ARES_ENODATA : status));
			failed(d, -EHOSTUNREACH, d->words);
		}
	}
	free(k);
}

static void on_answer6(void *arg, int status, const struct ares_addrinfo *answer)
{
	finish(arg, status, answer);
}

static void on_answer4(void *arg, int status, const struct ares_addrinfo *answer)
{
	struct dial_lookup *k = arg;

	/* The name exists, and has no such address. */
	if (k->dial && (status == ARES_ENODATA || status == ARES_ENOTFOUND || (answer && !answer->nodes)))
		dns_channel_ask(k->dialler->dns, k->host, AF_INET6, on_answer6, k);
	else
		finish(k, status, answer);
}

static void resolve(struct dial *d)
{
	struct dial_lookup *k;
	struct err e = { 0 };

	if (!channel(d->dialler, &e)) {
		snprintf(d->words, sizeof(d->words), "%s", err_text(&e));
		failed(d, -EHOSTUNREACH, d->words);
		return;
	}
	k = mem_alloc(sizeof(*k));
	k->dial = d;
	k->dialler = d->dialler;
	memcpy(k->host, d->url->host.p, d->url->host.n);
	d->lookup = k;
	dns_channel_ask(d->dialler->dns, k->host, AF_INET, on_answer4, k);
}

/* ---- TLS ---------------------------------------------------------------------------------------------------- */

/* Files as they are now, under the names that tlsctx asks for. */
struct files {
	struct secret ca, own;
	char *text[3];
};

static const struct secret *find(void *arg, struct slice name)
{
	struct files *f = arg;

	return slice_eq_str(name, "ca") ? &f->ca : &f->own;
}

static int read_file(struct slice path, char **give, struct slice *text, struct err *e)
{
	char *name = mem_dup(path.p, path.n);
	int err = conf_slurp(name, give, &text->n, e);

	free(name);
	text->p = *give;
	return err;
}

static int read_files(struct files *f, const struct client_tls *t, struct err *e)
{
	int err = t->ca_file.n ? read_file(t->ca_file, &f->text[0], &f->ca.certificate, e) : 0;

	if (!err && t->cert_file.n)
		err = read_file(t->cert_file, &f->text[1], &f->own.certificate, e);
	if (!err && t->cert_file.n)
		err = read_file(t->key_file.n ? t->key_file : t->cert_file, &f->text[2], &f->own.private_key, e);
	return err;
}

/* The same context as before while the files say the same. */
static int make_context(struct dial *d, struct err *e)
{
	static const struct client_tls none;
	const struct client_tls *t = d->tls ? d->tls : &none;
	struct files f = { 0 };
	const struct tlsctx_secrets secrets = { find, &f };
	const struct cluster_tls settings = {
		.enabled = true, .sni = t->server_name.n ? t->server_name : d->url->host,
		.ca = t->ca_file.n ? SLICE_LIT("ca") : (struct slice){ 0 },
		.certificate = t->cert_file.n ? SLICE_LIT("own") : (struct slice){ 0 },
		.alpn = &d->alpn, .nalpn = 1,
	};
	int err = read_files(&f, t, e);

	tlsctx_drop(d->ctx);
	d->ctx = err ? NULL : tlsctx_client(d->dialler->tls, &settings, &secrets, e);
	tlsctx_sweep(d->dialler->tls);
	for (unsigned i = 0; i < 3; i++)
		free(f.text[i]);
	return d->ctx ? 0 : -ENOKEY;
}

/* ---- connections -------------------------------------------------------------------------------------------- */

static struct dial *dial_of(struct conn *c)
{
	return container_of(c, struct dial, conn);
}

static void on_open(struct conn *c)
{
	struct dial *d = dial_of(c);

	/* A server that chose nothing may speak it nevertheless; one that chose otherwise does not. */
	if (d->url->tls && c->peer->alpn.n && !slice_eq(c->peer->alpn, d->alpn)) {
		snprintf(d->words, sizeof(d->words), "the server speaks %.*s, not %.*s (ALPN)", SLICE_ARG(c->peer->alpn),
			 SLICE_ARG(d->alpn));
		failed(d, -EPROTO, d->words);
		return;
	}
	d->on->open(d);
}

static void on_readable(struct conn *c)
{
	dial_of(c)->on->readable(dial_of(c));
}

static void on_writable(struct conn *c)
{
	dial_of(c)->on->writable(dial_of(c));
}

static void note(struct dial *d, int err, const char *words)
{
	struct net_addr a = { d->ips[d->next ? d->next - 1 : 0], d->url->port };
	char text[ADDR_TEXT_MAX];
	struct slice where = d->url->socket.n ? d->url->socket : slice_str(addr_text(&a, text));

	d->err = err;
	snprintf(d->words, sizeof(d->words), "%.*s: %s", SLICE_ARG(where), words);
}

static void on_failed(struct conn *c, int err)
{
	struct dial *d = dial_of(c);
	const char *words = err == -ETIMEDOUT ? (c->connected ? "no TLS handshake in time" : "no connection in time") :
			    c->connected && c->detail ? c->detail : strerror(-err);

	note(d, err, words);
	conn_close(c);
	next(d);
}

static const struct conn_events events = { on_open, on_readable, on_writable, on_failed, false };

static int connect_unix(struct slice path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return -errno;
	memcpy(sun.sun_path, path.p, path.n);
	if (!connect(fd, (struct sockaddr *)&sun, sizeof(sun)))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static int connect_next(struct dial *d)
{
	const struct sock_options o = { .nodelay = true, .keepalive_s = DIAL_KEEPALIVE_S, .user_timeout_ms = DIAL_UNSENT_MS };
	const struct net_addr a = { d->ips[d->next++], d->url->port };

	return d->url->socket.n ? connect_unix(d->url->socket) : sock_connect(&a, NULL, &o);
}

/* The next address, until one of them opens or all have failed: then the last one's words. */
static void next(struct dial *d)
{
	struct net_layer tls = { .ops = &tls_ops };
	struct err e = { 0 };
	int fd, err;

	while (d->next < d->nips) {
		if (d->url->tls && make_context(d, &e)) {
			snprintf(d->words, sizeof(d->words), "%s", err_text(&e));
			failed(d, -ENOKEY, d->words);
			return;
		}
		tls.conf = d->ctx;
		fd = connect_next(d);
		err = fd < 0 ? fd : conn_open(&d->conn, d->dialler->loop, fd, false, &tls, d->url->tls, d->open_ms, &events);
		if (!err)
			return;
		note(d, err, strerror(-err));
	}
	failed(d, d->err, d->words);
}

void dial_start(struct dial *d)
{
	d->nips = d->next = 0;
	d->err = 0;
	if (d->url->socket.n || !ip_parse(d->url->host, &d->ips[0])) {
		d->nips = 1;
		next(d);
	} else {
		resolve(d);
	}
}

void dial_stop(struct dial *d)
{
	if (d->lookup)
		d->lookup->dial = NULL;
	d->lookup = NULL;
	/* A server that speaks TLS takes less for an attack. */
	if (d->ctx && conn_is_open(&d->conn) && d->conn.opened)
		conn_shut(&d->conn);
	conn_close(&d->conn);
	tlsctx_drop(d->ctx);
	d->ctx = NULL;
}

const char *dial_waits(const struct dial *d)
{
	return d->lookup ? "the name's addresses" :
	       !conn_is_open(&d->conn) || !d->conn.connected ? "a TCP connection" :
	       !d->conn.opened ? "the TLS handshake" : NULL;
}

/* ---- life --------------------------------------------------------------------------------------------------- */

int dialler_init(struct dialler *d, struct loop *l, const char *servers, struct err *e)
{
	int status = ares_library_init(ARES_LIB_INIT_ALL);

	*d = (struct dialler){ .servers = servers };
	if (status != ARES_SUCCESS)
		return err_add(e, -ENOMEM, "resolver: %s", ares_strerror(status));
	d->loop = l;
	d->tls = tlsctx_maker_new();
	return 0;
}

void dialler_fini(struct dialler *d)
{
	if (!d->loop)
		return;
	dns_channel_free(d->dns);
	tlsctx_maker_free(d->tls);
	ares_library_cleanup();
	d->loop = NULL;
}
