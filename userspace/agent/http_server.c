/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/http_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <llhttp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/magic.h"
#include "base/mem.h"
#include "event/timer.h"
#include "weft/log.h"
#include "weft/str.h"

#define CONNS_MAX 64
#define TCP_CONNS_MAX 48                        /* of them over TCP, where anybody on this machine may hold them */
#define HEAD_MAX 16384                          /* bytes of one request line and its headers */
#define IDLE_NS (30 * SEC)
#define HEAD_NS (10 * SEC)                      /* from the first byte of a request line to the end of its headers */
#define REST_NS (100 * MSEC)
#define GOING_TRIES 20                          /* before another weftd is believed to live, so many times */
#define GOING_MS 100                            /* so long */
#define LINGER_MAX (1 << 20)                    /* bytes of a refused request that are read and dropped */
#define HTTP_CONN_MAGIC 0x68747470u

STAT_DEFINE(admin_stat, "admin", HTTP_SERVER_STATS);

/* One client. Freed through loop_defer, since its own callbacks end it. */
struct http_conn {
	unsigned magic;
	struct list node;
	struct loop_deferred defer;
	struct http_server *server;
	struct loop_io io;
	struct timer idle;
	llhttp_t parser;
	bool tcp, in_host, complete, close_after;
	bool lingering;                         /* answered and shut: only reads what the peer still sends */
	size_t lingered;
	bool host_seen, host_ok;
	int bad_status;                         /* answer of a request refused while parsing */
	size_t head_len;
	bool in_head;                           /* the timer is this head's deadline, which further bytes do not move */
	char url[2048];
	size_t url_len;
	char field[16], host[128];
	size_t field_len, host_len;
	char in[4096];                          /* read and not parsed yet: in[in_at, in_end) */
	size_t in_at, in_end;
	struct buf out;
};
#define http_conn_MAGIC HTTP_CONN_MAGIC

static const char *status_words(int status)
{
	switch (status) {
	case 200: return "OK";
	case 400: return "Bad Request";
	case 403: return "Forbidden";
	case 404: return "Not Found";
	case 405: return "Method Not Allowed";
	case 408: return "Request Timeout";
	case 413: return "Content Too Large";
	case 414: return "URI Too Long";
	case 422: return "Unprocessable Content";
	case 431: return "Request Header Fields Too Large";
	case 503: return "Service Unavailable";
	default: return "Internal Server Error";
	}
}

static void conn_free(struct loop_deferred *d)
{
	struct http_conn *c = container_of(d, struct http_conn, defer);

	buf_fini(&c->out);
	c->magic = 0;
	free(c);
}

static void conn_close(struct http_conn *c)
{
	struct http_server *s = c->server;

	if (!list_linked(&c->node))
		return;
	list_del(&c->node);
	s->ntcp -= c->tcp;
	stat_set(&s->stat.connections, --s->nconns);
	timer_disarm(s->loop, &c->idle);
	loop_del(s->loop, &c->io);
	close(c->io.fd);
	loop_defer(s->loop, &c->defer, conn_free);
}

static bool host_is_local(const char *h)
{
	static const char *const names[] = { "localhost", "127.0.0.1", "[::1]", "weft" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t n = strlen(names[i]);

		if (!strncasecmp(h, names[i], n) && (h[n] == '\0' || h[n] == ':'))
			return true;
	}
	return !strncmp(h, "127.", 4) && strspn(h, "0123456789.:") == strlen(h);
}

/* ---- llhttp callbacks: the request's own bytes only, bounded ------------------------------------------------ */

static int on_begin(llhttp_t *p)
{
	struct http_conn *c = CAST(http_conn, p->data);

	c->url_len = c->field_len = c->host_len = c->head_len = 0;
	c->in_host = c->complete = c->host_seen = c->host_ok = false;
	c->bad_status = 0;
	return 0;
}

static int refuse(struct http_conn *c, int status)
{
	if (!c->bad_status)
		c->bad_status = status;
	return HPE_USER;
}

static int on_url(llhttp_t *p, const char *at, size_t n)
{
	struct http_conn *c = CAST(http_conn, p->data);

	if (c->url_len + n >= sizeof(c->url))
		return refuse(c, 414);
	memcpy(c->url + c->url_len, at, n);
	c->url_len += n;
	return 0;
}

static int on_field(llhttp_t *p, const char *at, size_t n)
{
	struct http_conn *c = CAST(http_conn, p->data);

	for (size_t i = 0; i < n; i++, c->field_len++)
		if (c->field_len < sizeof(c->field))
			c->field[c->field_len] = at[i];
	return 0;
}

static int on_field_done(llhttp_t *p)
{
	struct http_conn *c = CAST(http_conn, p->data);

	c->in_host = c->field_len == 4 && !strncasecmp(c->field, "host", 4);
	c->field_len = 0;
	if (c->in_host && c->host_seen)
		return refuse(c, 400);
	c->host_seen |= c->in_host;
	return 0;
}

static int on_value(llhttp_t *p, const char *at, size_t n)
{
	struct http_conn *c = CAST(http_conn, p->data);

	if (!c->in_host)
		return 0;
	if (c->host_len + n >= sizeof(c->host))
		return refuse(c, 400);
	memcpy(c->host + c->host_len, at, n);
	c->host_len += n;
	return 0;
}

static int on_headers(llhttp_t *p)
{
	struct http_conn *c = CAST(http_conn, p->data);

	c->host[c->host_len] = '\0';
	if (!c->host_seen && (p->http_major > 1 || p->http_minor > 0))
		return refuse(c, 400);
	if (c->tcp && !host_is_local(c->host))
		return refuse(c, 403);
	/* A web page may make a browser send POST to loopback, but not to a unix socket that is root's. */
	if (p->method != HTTP_GET && p->method != HTTP_HEAD && (c->tcp || p->method != HTTP_POST))
		return refuse(c, 405);
	if (p->content_length > 0 || (p->flags & F_CHUNKED))
		return refuse(c, 413);
	return 0;
}

static int on_complete(llhttp_t *p)
{
	struct http_conn *c = CAST(http_conn, p->data);

	c->complete = true;
	c->close_after = !llhttp_should_keep_alive(p);
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
	.on_message_begin = on_begin,
	.on_url = on_url,
	.on_header_field = on_field,
	.on_header_field_complete = on_field_done,
	.on_header_value = on_value,
	.on_headers_complete = on_headers,
	.on_message_complete = on_complete,
};

/* ---- answering ---------------------------------------------------------------------------------------------- */

static void put_response(struct http_conn *c, const struct http_response *rs, struct buf *body, bool head_only)
{
	buf_printf(&c->out,
		   "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n%s%s%s%s\r\n",
		   rs->status, status_words(rs->status), rs->type, body->len, rs->status == 405 ? "Allow: " : "",
		   rs->status != 405 ? "" : rs->allow ? rs->allow : "GET, HEAD", rs->status == 405 ? "\r\n" : "",
		   c->close_after ? "Connection: close\r\n" : "");
	if (!head_only)
		buf_move(&c->out, body);
}

static void answer_refused(struct http_conn *c, int status, const char *why)
{
	struct http_response rs = { .status = status, .type = "application/json" };

	stat_add(&c->server->stat.refused, 1);
	c->close_after = true;
	buf_init(&rs.body);
	buf_printf(&rs.body, "{\"error\": \"%s\"}\n", why);
	put_response(c, &rs, &rs.body, false);
	buf_fini(&rs.body);
}

static void answer(struct http_conn *c)
{
	struct http_server *s = c->server;
	struct http_response rs = { .status = 200, .type = "application/json" };
	struct slice url = { c->url, c->url_len };
	const char *q = memchr(url.p, '?', url.n);
	struct http_request rq = { .path = url, .post = c->parser.method == HTTP_POST };

	if (q) {
		rq.path.n = q - url.p;
		rq.query = (struct slice){ q + 1, url.n - rq.path.n - 1 };
	}
	buf_init(&rs.body);
	s->handler(s->arg, &rq, &rs);
	stat_add(&s->stat.requests, 1);
	put_response(c, &rs, &rs.body, c->parser.method == HTTP_HEAD);
	buf_fini(&rs.body);
}

/*
 * Closing while the peer still sends would make the kernel reset the connection and take back the answer (RFC 9112,
 * section 9.6): so the writing side is shut, and what comes is read and dropped.
 */
static void linger(struct http_conn *c)
{
	shutdown(c->io.fd, SHUT_WR);
	c->lingering = true;
}

static void lingering_read(struct http_conn *c)
{
	char in[4096];
	ssize_t n = recv(c->io.fd, in, sizeof(in), MSG_DONTWAIT);

	if (n > 0)
		c->lingered += n;
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) || c->lingered > LINGER_MAX)
		conn_close(c);
}

/* 0 = all written, -EAGAIN = later, other = the connection is over. */
static int conn_flush(struct http_conn *c)
{
	while (c->out.len) {
		struct slice s = buf_head(&c->out);
		ssize_t n = send(c->io.fd, s.p, s.n, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		buf_drop(&c->out, n);
	}
	if (c->close_after)
		linger(c);
	return 0;
}

static void conn_idle(struct timer *t)
{
	struct http_conn *c = CAST(http_conn, t->arg);

	if (c->in_head && !c->lingering) {
		answer_refused(c, 408, "the request did not arrive in time");
		conn_flush(c);
	}
	conn_close(c);
}

/* A client that sends a byte now and then would hold a connection for ever if each of them counted as life. */
static void conn_arm(struct http_conn *c)
{
	bool in_head = c->head_len && !c->out.len;

	if (in_head && c->in_head)
		return;
	c->in_head = in_head;
	timer_arm(c->server->loop, &c->idle, in_head ? c->server->head_ns : IDLE_NS, conn_idle, c);
}

static void parse_failed(struct http_conn *c, llhttp_errno_t err)
{
	int status = c->bad_status ? c->bad_status : 400;
	const char *why = status == 405	  ? "only GET and HEAD are served"
			  : status == 403 ? "Host must be a loopback address or localhost"
			  : status == 414 ? "the request target is longer than 2047 bytes"
			  : status == 413 ? "requests have no body here"
					  : llhttp_errno_name(err);

	answer_refused(c, status, why);
}

/* Parses what was read, up to one answer or until the connection is to be closed. */
static void conn_feed(struct http_conn *c)
{
	while (c->in_at < c->in_end && !c->out.len && !c->close_after) {
		const char *p = c->in + c->in_at;
		size_t used = c->in_end - c->in_at;
		llhttp_errno_t err = llhttp_execute(&c->parser, p, used);

		if (err == HPE_PAUSED)
			used = llhttp_get_error_pos(&c->parser) - p;
		c->head_len += used;
		c->in_at += used;
		if (err == HPE_PAUSED && c->complete) {
			answer(c);
			llhttp_resume(&c->parser);
			c->head_len = 0;
			c->in_head = false;
			continue;
		}
		if (err != HPE_OK)
			parse_failed(c, err);
		else if (c->head_len > HEAD_MAX)
			answer_refused(c, 431, "request line and headers are longer than 16 KiB");
	}
}

/* Nothing while requests that were read already wait for their turn. False: the connection has ended. */
static bool conn_read(struct http_conn *c)
{
	ssize_t n;

	if (c->in_at < c->in_end)
		return true;
	n = recv(c->io.fd, c->in, sizeof(c->in), MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		return false;
	c->in_at = 0;
	c->in_end = n > 0 ? n : 0;
	return true;
}

static void conn_event(struct loop_io *io, unsigned events)
{
	struct http_conn *c = CAST(http_conn, io->arg);
	int err;

	if (c->lingering) {
		lingering_read(c);
		return;
	}
	if (events & (LOOP_READ | LOOP_HUP | LOOP_ERR) && !conn_read(c)) {
		conn_close(c);
		return;
	}
	do {
		conn_feed(c);
		err = conn_flush(c);
	} while (!err && c->in_at < c->in_end && !c->close_after);
	if (err && err != -EAGAIN) {
		conn_close(c);
		return;
	}
	/* While an answer waits to be taken no further one is made: the peer's slowness costs one answer's memory. */
	loop_want(c->server->loop, io, c->out.len ? LOOP_WRITE : LOOP_READ);
	conn_arm(c);
}

void http_server_take(struct http_server *s, int take_fd, bool tcp)
{
	struct http_conn *c;
	int fd = take_fd;

	if (s->nconns >= CONNS_MAX || (tcp && s->ntcp >= TCP_CONNS_MAX)) {
		stat_add(&s->stat.connections_refused, 1);
		close(fd);
		return;
	}
	c = mem_alloc(sizeof(*c));
	c->magic = HTTP_CONN_MAGIC;
	c->server = s;
	c->tcp = tcp;
	buf_init(&c->out);
	llhttp_init(&c->parser, HTTP_REQUEST, &settings);
	c->parser.data = c;
	if (loop_add(s->loop, &c->io, fd, LOOP_READ, conn_event, c)) {
		close(fd);
		free(c);
		return;
	}
	list_add_tail(&s->conns, &c->node);
	s->ntcp += tcp;
	stat_set(&s->stat.connections, ++s->nconns);
	conn_arm(c);
}

static void listeners_want(struct http_server *s, unsigned want)
{
	loop_want(s->loop, &s->unix_io, want);
	loop_want(s->loop, &s->tcp_io, want);
}

static void rested(struct timer *t)
{
	listeners_want(t->arg, LOOP_READ);
}

/* Out of descriptors: the connection stays in the backlog, and asking again at once would only burn the processor. */
static void rest(struct http_server *s)
{
	listeners_want(s, 0);
	timer_arm(s->loop, &s->rest, REST_NS, rested, s);
}

static void on_accept(struct loop_io *io, unsigned events)
{
	struct http_server *s = io->arg;
	int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd >= 0)
		http_server_take(s, fd, io == &s->tcp_io);
	else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
		rest(s);
}

/* ---- listening ---------------------------------------------------------------------------------------------- */

static bool unix_alive(const struct sockaddr_un *a)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* EAGAIN: its backlog is full. */
	bool alive = fd >= 0 && (!connect(fd, (const void *)a, sizeof(*a)) || errno == EAGAIN);

	if (fd >= 0)
		close(fd);
	return alive;
}

/* A child of a weftd that was killed, in the middle of a self-test say, may hold its socket for a moment more. */
static bool unix_stays_alive(const struct sockaddr_un *a)
{
	for (int i = 0; i < GOING_TRIES; i++) {
		if (!unix_alive(a))
			return false;
		poll(NULL, 0, GOING_MS);
	}
	return true;
}

static int listen_unix(struct http_server *s, const char *path, struct err *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	mode_t mask;
	int fd, err;

	if (strlen(path) >= sizeof(a.sun_path))
		return err_add(e, -ENAMETOOLONG, "admin.socket: %s: longer than %zu bytes", path, sizeof(a.sun_path) - 1);
	strcpy(a.sun_path, path);
	if (unix_stays_alive(&a))
		return err_add(e, -EADDRINUSE, "admin.socket: %s: another weftd answers there", path);
	unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_errno(e, -errno, "admin.socket: %s", path);
	mask = umask(0177);
	err = bind(fd, (void *)&a, sizeof(a)) || listen(fd, 64) ? -errno : 0;
	umask(mask);
	if (!err)
		err = loop_add(s->loop, &s->unix_io, fd, LOOP_READ, on_accept, s);
	if (err) {
		close(fd);
		return err_errno(e, err, "admin.socket: %s", path);
	}
	strcpy(s->unix_path, path);
	return 0;
}

static int parse_loopback(const char *text, struct sockaddr_storage *ss, socklen_t *len)
{
	struct sockaddr_in *a4 = (void *)ss;
	struct sockaddr_in6 *a6 = (void *)ss;
	const char *colon = strrchr(text, ':');
	char ip[64];
	long port;

	if (!colon || (size_t)(colon - text) >= sizeof(ip))
		return -EINVAL;
	memcpy(ip, text, colon - text);
	ip[colon - text] = '\0';
	port = strtol(colon + 1, NULL, 10);
	memset(ss, 0, sizeof(*ss));
	if (ip[0] == '[' && strlen(ip) > 2) {
		ip[strlen(ip) - 1] = '\0';
		a6->sin6_family = AF_INET6;
		a6->sin6_port = htons(port);
		*len = sizeof(*a6);
		return inet_pton(AF_INET6, ip + 1, &a6->sin6_addr) == 1 && IN6_IS_ADDR_LOOPBACK(&a6->sin6_addr) ? 0 : -EINVAL;
	}
	a4->sin_family = AF_INET;
	a4->sin_port = htons(port);
	*len = sizeof(*a4);
	return inet_pton(AF_INET, ip, &a4->sin_addr) == 1 && (ntohl(a4->sin_addr.s_addr) >> 24) == 127 ? 0 : -EINVAL;
}

static int listen_tcp(struct http_server *s, const char *text, struct err *e)
{
	struct sockaddr_storage ss;
	socklen_t len;
	int fd, err, one = 1;

	if (parse_loopback(text, &ss, &len))
		return err_add(e, -EINVAL, "admin.address: %s: must be a loopback address and port, 127.0.0.1:15000 or [::1]:15000",
			       text);
	fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_errno(e, -errno, "admin.address: %s", text);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	err = bind(fd, (void *)&ss, len) || listen(fd, 64) ? -errno : 0;
	if (!err)
		err = loop_add(s->loop, &s->tcp_io, fd, LOOP_READ, on_accept, s);
	if (err) {
		close(fd);
		return err_errno(e, err, "admin.address: %s", text);
	}
	return 0;
}

int http_server_open(struct http_server *s, struct loop *l, const char *unix_path, const char *tcp, http_handler *fn,
		     void *arg, struct err *e)
{
	int err = 0;

	*s = (struct http_server){ .loop = l, .handler = fn, .arg = arg, .head_ns = HEAD_NS };
	list_init(&s->conns);
	if (unix_path && *unix_path)
		err = listen_unix(s, unix_path, e);
	if (!err && tcp && *tcp)
		err = listen_tcp(s, tcp, e);
	if (err)
		http_server_close(s);
	return err;
}

static void listener_close(struct http_server *s, struct loop_io *io)
{
	if (!io->active)
		return;
	loop_del(s->loop, io);
	close(io->fd);
}

void http_server_close(struct http_server *s)
{
	if (!s->loop)
		return;
	list_for(p, &s->conns)
		conn_close(container_of(p, struct http_conn, node));
	timer_disarm(s->loop, &s->rest);
	listener_close(s, &s->unix_io);
	listener_close(s, &s->tcp_io);
	if (s->unix_path[0])
		unlink(s->unix_path);
	s->loop = NULL;
}

/* ---- queries ------------------------------------------------------------------------------------------------ */

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void decode(struct slice in, char *out, size_t size)
{
	size_t o = 0;

	for (size_t i = 0; i < in.n && o + 1 < size; i++) {
		if (in.p[i] == '%' && i + 2 < in.n && hex(in.p[i + 1]) >= 0 && hex(in.p[i + 2]) >= 0) {
			out[o++] = hex(in.p[i + 1]) << 4 | hex(in.p[i + 2]);
			i += 2;
		} else {
			out[o++] = in.p[i] == '+' ? ' ' : in.p[i];
		}
	}
	out[o] = '\0';
}

bool http_query(struct slice query, const char *name, char *out, size_t size)
{
	size_t n = strlen(name);

	while (query.n) {
		const char *end = memchr(query.p, '&', query.n);
		struct slice item = { query.p, end ? (size_t)(end - query.p) : query.n };

		if (item.n > n && !memcmp(item.p, name, n) && item.p[n] == '=') {
			decode((struct slice){ item.p + n + 1, item.n - n - 1 }, out, size);
			return true;
		}
		query = end ? (struct slice){ end + 1, query.n - item.n - 1 } : (struct slice){ 0 };
	}
	return false;
}
