/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS as a layer: bytes through OpenSSL, whose own reads and writes go to the layer below. Which certificate, whom to trust
 * and what is learned of the peer is net/tlsctx.c's. OpenSSL's list of errors is the thread's: every failed call is explained,
 * which empties it, so that the next call's result means what it says.
 *
 * The kernel's TLS (kTLS): OpenSSL gives the keys to its own BIO of the socket. What the owner sends then goes past OpenSSL;
 * OpenSSL's own records (alerts, tickets) and what is received go by that BIO, which tells the kernel of what kind they are.
 */
#include "netio/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <string.h>

#define RECORD 16384u                           /* bytes of a full record */
#define ROOM 1024u
#define HANDSHAKE 0x16                          /* first byte of a ClientHello's record */

struct tls {
	SSL *ssl;                               /* NULL: plain bytes, permissive */
	int below;                              /* why the layer below failed in this call */
	unsigned want;
	bool eof;                               /* below */
	bool sniff;                             /* permissive: the first byte will tell */
	bool begun;
	bool open;
	bool ended;                             /* our close_notify was sent */
	BIO *socket;                            /* OpenSSL's, for the kernel's TLS; NULL: not wanted, or not there */
	bool kernel_out, kernel_in;             /* records sent are the kernel's, those received are */
	bool stale;                             /* the peer asked for other keys, which the kernel does not take */
};

/* ---- below OpenSSL ------------------------------------------------------------------------------------------- */

static int below_result(BIO *b, ssize_t n, bool write)
{
	struct net_filter *f = BIO_get_data(b);
	struct tls *t = f->state;

	BIO_clear_retry_flags(b);
	if (n == -EAGAIN) {
		if (write)
			BIO_set_retry_write(b);
		else
			BIO_set_retry_read(b);
		return -1;
	}
	t->eof = t->eof || (!n && !write);
	if (n < 0)
		t->below = (int)n;
	return n < 0 ? -1 : (int)n;
}

/* Of the socket's BIO, which said ret: bytes, or -errno. */
static ssize_t kernel_result(struct net_filter *f, int ret, unsigned want)
{
	if (ret > 0 || (!ret && want == NET_WANT_READ))
		return ret;
	if (errno != EAGAIN && errno != EINTR)
		return errno ? -errno : -EPIPE;
	net_next_blocked(f, want);
	return -EAGAIN;
}

static ssize_t kernel_recv(struct net_filter *f, char *p, int n)
{
	struct tls *t = f->state;

	if (net_next_empty(f))
		return -EAGAIN;
	errno = 0;
	return kernel_result(f, BIO_read(t->socket, p, n), NET_WANT_READ);
}

/* An answer to the peer's wish for other keys would be a promise. */
static ssize_t kernel_send(struct net_filter *f, const char *p, int n)
{
	struct tls *t = f->state;

	if (t->stale)
		return -EPROTO;
	errno = 0;
	return kernel_result(f, BIO_write(t->socket, p, n), NET_WANT_WRITE);
}

static int below_read(BIO *b, char *p, int n)
{
	struct net_filter *f = BIO_get_data(b);
	const struct tls *t = f->state;

	if (t->socket && BIO_get_ktls_recv(t->socket))
		return below_result(b, kernel_recv(f, p, n), false);
	return below_result(b, net_next_recv(f, p, (size_t)n), false);
}

static int below_write(BIO *b, const char *p, int n)
{
	struct net_filter *f = BIO_get_data(b);
	const struct tls *t = f->state;

	if (t->socket && BIO_get_ktls_send(t->socket))
		return below_result(b, kernel_send(f, p, n), true);
	return below_result(b, net_next_send(f, p, (size_t)n), true);
}

static long below_ctrl(BIO *b, int cmd, long num, void *ptr)
{
	const struct net_filter *f = BIO_get_data(b);
	const struct tls *t = f ? f->state : NULL;

	if (cmd == BIO_CTRL_EOF)
		return t && t->eof;
	if (cmd == BIO_CTRL_FLUSH)
		return 1;
	/* BIO_set_ktls() and its like; what it does not know either is 0 again. */
	return t && t->socket ? BIO_ctrl(t->socket, cmd, num, ptr) : 0;
}

static BIO_METHOD *below;
static pthread_once_t below_once = PTHREAD_ONCE_INIT;

static void below_make(void)
{
	below = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "weft net filter");
	if (!below || !BIO_meth_set_read(below, below_read) || !BIO_meth_set_write(below, below_write) ||
	    !BIO_meth_set_ctrl(below, below_ctrl))
		abort();
}

/* ---- opening ------------------------------------------------------------------------------------------------- */

static int start(struct net_filter *f, bool sniff)
{
	struct tls *t = f->state;
	BIO *b;

	pthread_once(&below_once, below_make);
	t->ssl = net_filter_ssl_new(f);
	b = t->ssl ? BIO_new(below) : NULL;
	if (!b)
		return -ENOMEM;
	BIO_set_data(b, f);
	BIO_set_init(b, 1);
	SSL_set_bio(t->ssl, b, b);
	t->sniff = sniff;
	return 0;
}

static int start_strict(struct net_filter *f)
{
	return start(f, false);
}

static int start_permissive(struct net_filter *f)
{
	return start(f, true);
}

/* Without a word of ours OpenSSL would take an end without close_notify for a reason not to resume (RFC 5246, 7.2.1: it is none). */
static void drop_ssl(struct tls *t)
{
	if (t->open)
		SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(t->ssl);
	BIO_free(t->socket);
	t->ssl = NULL;
	t->socket = NULL;
}

/* The byte goes back to whoever reads next: OpenSSL, or the layer above. */
static int sniff(struct net_filter *f)
{
	struct tls *t = f->state;
	struct buf b = { 0 };
	ssize_t n = net_next_read(f, &b);

	t->want = NET_WANT_READ;
	if (n < 0)
		return (int)n;
	t->sniff = false;
	if (!n || buf_head(&b).p[0] != HANDSHAKE)
		drop_ssl(t);
	net_filter_unread(f, &b);
	t->want = 0;
	return 0;
}

/* What a call that gave ret means: 0 end of stream, -EAGAIN, another -errno that was explained. */
static int result(struct net_filter *f, int ret, const char *doing)
{
	struct tls *t = f->state;

	switch (SSL_get_error(t->ssl, ret)) {
	case SSL_ERROR_WANT_READ:
		t->want = NET_WANT_READ;
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		t->want = NET_WANT_WRITE;
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		if (!t->below || t->eof) {
			net_filter_ssl_why(f, t->ssl, doing);
			return t->eof ? -ECONNRESET : -EPROTO;
		}
		net_filter_why(f, "%s: %s", doing, strerror(-t->below));
		ERR_clear_error();
		return t->below;
	}
}

/* A KeyUpdate that wants one back (RFC 8446, 4.6.3): what we sent after it would have to be under other keys. */
static void on_message(int out, int version, int type, const void *p, size_t n, SSL *ssl, void *arg)
{
	const unsigned char *m = p;
	struct tls *t = arg;

	(void)version, (void)ssl;
	if (!out && type == SSL3_RT_HANDSHAKE && n > SSL3_HM_HEADER_LENGTH && m[0] == SSL3_MT_KEY_UPDATE &&
	    m[SSL3_HM_HEADER_LENGTH] == SSL_KEY_UPDATE_REQUESTED)
		t->stale = t->kernel_out;
}

static int begin(struct net_filter *f)
{
	struct tls *t = f->state;

	if (net_filter_ssl_begin(f, t->ssl))
		return -ENOMEM;
	t->begun = true;
	t->socket = net_filter_ssl_kernel(f, t->ssl);
	if (!t->socket)
		return 0;
	SSL_set_msg_callback(t->ssl, on_message);
	SSL_set_msg_callback_arg(t->ssl, t);
	return 0;
}

/* Those directions have nothing of theirs in OpenSSL. */
static void tell_passes(struct net_filter *f)
{
	const struct tls *t = f->state;
	bool in = t->kernel_in && !SSL_has_pending(t->ssl);

	net_filter_passes(f, (t->kernel_out && !t->stale ? NET_WANT_WRITE : 0) | (in ? NET_WANT_READ : 0));
}

static void opened(struct net_filter *f)
{
	struct tls *t = f->state;

	t->open = true;
	t->want = 0;
	if (!t->socket)
		return;
	t->kernel_out = BIO_get_ktls_send(t->socket);
	t->kernel_in = BIO_get_ktls_recv(t->socket);
	tell_passes(f);
}

static int tls_open(struct net_filter *f)
{
	struct tls *t = f->state;
	int ret = t->sniff ? sniff(f) : 0;

	if (ret || !t->ssl)
		return ret;
	if (!t->begun && begin(f))
		return -ENOMEM;
	ret = SSL_do_handshake(t->ssl);
	if (ret != 1) {
		ret = result(f, ret, "TLS handshake");
		return ret ? ret : -EPROTO;
	}
	opened(f);
	return net_filter_ssl_done(f, t->ssl);
}

/* ---- bytes --------------------------------------------------------------------------------------------------- */

/* Its end is the only thing that can be said under the old keys. */
static int end_stale(struct net_filter *f)
{
	struct tls *t = f->state;

	if (!t->ended)
		net_filter_ssl_end(f);
	t->ended = true;
	net_filter_why(f, "TLS: the peer asks for new keys (KeyUpdate), which the kernel's TLS does not take");
	ERR_clear_error();
	tell_passes(f);
	return -EPROTO;
}

static ssize_t tls_read(struct net_filter *f, struct buf *dst)
{
	struct tls *t = f->state;
	size_t room, n = 0;
	void *p;
	int ret;

	if (!t->ssl)
		return net_next_read(f, dst);
	/* The question after the last record, which would cost OpenSSL a buffer. */
	if (net_next_empty(f) && !SSL_has_pending(t->ssl)) {
		t->want = NET_WANT_READ;
		return -EAGAIN;
	}
	p = buf_room(dst, ROOM, &room);
	if (!p)
		return -ENOMEM;
	ret = SSL_read_ex(t->ssl, p, room, &n);
	buf_commit(dst, n);
	if (t->stale)
		return end_stale(f);
	if (t->kernel_in)
		tell_passes(f);
	return ret == 1 ? (ssize_t)n : result(f, ret, "TLS");
}

/* Small pieces are put together: a record, and a system call, for each would cost more than the copy. */
static struct slice next_record(const struct buf *src, char *room)
{
	struct slice first = buf_head(src);
	struct iovec v[16];
	unsigned n;
	size_t len = 0;

	if (first.n >= RECORD || first.n == src->len)
		return first;
	n = buf_iov(src, v, 16);
	for (unsigned i = 0; i < n && len < RECORD; i++) {
		size_t k = v[i].iov_len < RECORD - len ? v[i].iov_len : RECORD - len;

		memcpy(room + len, v[i].iov_base, k);
		len += k;
	}
	return (struct slice){ room, len };
}

/* As they lie: the kernel puts them together. */
static ssize_t kernel_write(struct net_filter *f, struct buf *src)
{
	struct tls *t = f->state;
	ssize_t n = t->stale ? -EPIPE : net_next_write(f, src);

	t->want = n == -EAGAIN ? NET_WANT_WRITE : 0;
	return n;
}

static ssize_t tls_write(struct net_filter *f, struct buf *src)
{
	struct tls *t = f->state;
	char room[RECORD];
	struct slice s;
	size_t n = 0;
	int ret;

	if (!t->ssl)
		return net_next_write(f, src);
	if (t->kernel_out)
		return kernel_write(f, src);
	s = next_record(src, room);
	ret = SSL_write_ex(t->ssl, s.p, s.n, &n);
	if (ret != 1) {
		ret = result(f, ret, "TLS");
		return ret ? ret : -EPIPE;
	}
	t->want = 0;
	buf_drop(src, n);
	return (ssize_t)n;
}

static unsigned tls_want(const struct net_filter *f)
{
	return ((const struct tls *)f->state)->want;
}

static size_t tls_pending(const struct net_filter *f)
{
	const struct tls *t = f->state;

	return t->ssl ? (size_t)SSL_pending(t->ssl) : 0;
}

static bool tls_transparent(const struct net_filter *f)
{
	return !((const struct tls *)f->state)->ssl;
}

/* ---- ending -------------------------------------------------------------------------------------------------- */

static int tls_shut(struct net_filter *f)
{
	struct tls *t = f->state;
	int ret;

	if (t->ssl && t->open && !t->ended) {
		ret = SSL_shutdown(t->ssl);
		ret = ret < 0 ? result(f, ret, "TLS end") : 0;
		if (ret)
			return ret;
		t->ended = true;
	}
	return net_next_shut(f);
}

static void tls_close(struct net_filter *f)
{
	drop_ssl(f->state);
}

#define METHODS                                                                                                        \
	.state_size = sizeof(struct tls), .open = tls_open, .read = tls_read, .write = tls_write, .want = tls_want,    \
	.pending = tls_pending, .transparent = tls_transparent, .shut = tls_shut, .close = tls_close

const struct net_filter_ops tls_ops = { .name = "tls", .start = start_strict, METHODS };
const struct net_filter_ops tls_permissive_ops = { .name = "tls", .start = start_permissive, METHODS };
