// SPDX-License-Identifier: Apache-2.0
/*
 * What redirected bytes do otherwise than TCP's: the list of docs/kernel.md, each item tried on a plain connection and on
 * a short-circuited one. An item that stops to differ is good news; what is not on the list must not differ.
 */
#include "known_answers.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "kern/selftest_priv.h"
#include "weft/err.h"

static void patience(int fd, int ms)
{
	struct timeval t = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	fcntl(fd, F_SETFL, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
}

/* Each returns a number that says what happened; equal numbers are equal behaviour. */
typedef long (*try_fn)(struct duo *d);

static void *send_later(void *arg)
{
	nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
	send(*(int *)arg, "efgh", 4, MSG_NOSIGNAL);
	return NULL;
}

static long try_waitall(struct duo *d)
{
	pthread_t t;
	char buf[8];
	long n;

	patience(d->server, 1000);
	send(d->client, "abcd", 4, MSG_NOSIGNAL);
	pthread_create(&t, NULL, send_later, &d->client);
	n = recv(d->server, buf, 8, MSG_WAITALL);
	pthread_join(t, NULL);
	return n;
}

/* Set after the connection is paired: poll() below the mark. */
static long try_rcvlowat(struct duo *d)
{
	int mark = 100;

	send(d->client, "abcd", 4, MSG_NOSIGNAL);
	readable(d->server, 1000);
	setsockopt(d->server, SOL_SOCKET, SO_RCVLOWAT, &mark, sizeof(mark));
	return readable(d->server, 20);
}

/* ... and what comes after it goes by the stack, where the mark holds. */
static long try_rcvlowat_later(struct duo *d)
{
	int mark = 100;

	setsockopt(d->server, SOL_SOCKET, SO_RCVLOWAT, &mark, sizeof(mark));
	send(d->client, "abcd", 4, MSG_NOSIGNAL);
	return readable(d->server, 20);
}

static long try_close_unread(struct duo *d)
{
	char c;
	long n;

	patience(d->client, 1000);
	send(d->client, "abcd", 4, MSG_NOSIGNAL);
	readable(d->server, 1000);
	close(d->server);
	d->server = -1;
	n = recv(d->client, &c, 1, 0);
	return n < 0 ? -errno : n;
}

static long try_tcp_info(struct duo *d)
{
	struct tcp_info ti;
	socklen_t len = sizeof(ti);

	memset(&ti, 0, sizeof(ti));
	send(d->client, "abcd", 4, MSG_NOSIGNAL);
	readable(d->server, 1000);
	getsockopt(d->server, IPPROTO_TCP, TCP_INFO, &ti, &len);
	return ti.tcpi_bytes_received;
}

static long try_oob(struct duo *d)
{
	char c = 0;

	send(d->client, "ab", 2, MSG_NOSIGNAL);
	send(d->client, "!", 1, MSG_OOB | MSG_NOSIGNAL);
	readable(d->server, 1000);
	nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	return recv(d->server, &c, 1, MSG_OOB | MSG_DONTWAIT) == 1 && c == '!';
}

static long try_trunc(struct duo *d)
{
	send(d->client, "abcd", 4, MSG_NOSIGNAL);
	readable(d->server, 1000);
	return recv(d->server, NULL, 4, MSG_TRUNC | MSG_DONTWAIT);
}

static long try_keepalive(struct duo *d)
{
	int on = 0;
	socklen_t len = sizeof(on);

	getsockopt(d->server, SOL_SOCKET, SO_KEEPALIVE, &on, &len);
	return on;
}

static long try_zerocopy(struct duo *d)
{
	int one = 1;

	return setsockopt(d->client, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)) ? -errno : 0;
}

static void *receive(void *arg)
{
	int fd = *(int *)arg;
	char c;

	return (void *)(recv(fd, &c, 1, 0) < 0 ? (long)-errno : 0);
}

/* A thread sleeps in recv() while another waits for send space on the same socket and gets it. */
static long try_early_eagain(struct duo *d)
{
	static char buf[65536];
	void *result;
	pthread_t t;

	patience(d->client, 3000);
	pthread_create(&t, NULL, receive, &d->client);
	nanosleep(&(struct timespec){.tv_nsec = 30000000}, NULL);
	while (send(d->client, buf, sizeof(buf), MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
		;
	while (readable(d->server, 100) && recv(d->server, buf, sizeof(buf), 0) > 0)
		;
	send(d->server, "x", 1, MSG_NOSIGNAL);
	pthread_join(t, &result);
	return (long)result;
}

static long try_peek_then_read(struct duo *d)
{
	char a[8] = "", b[8] = "";

	send(d->client, "abcd", 4, MSG_NOSIGNAL);
	readable(d->server, 1000);
	recv(d->server, a, 4, MSG_PEEK);
	recv(d->server, b, 4, 0);
	return !strcmp(a, "abcd") && !strcmp(b, "abcd");
}

static long try_reset(struct duo *d)
{
	struct linger l = {.l_onoff = 1};
	char c;

	patience(d->client, 1000);
	send(d->server, "abcd", 4, MSG_NOSIGNAL);
	setsockopt(d->server, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	close(d->server);
	d->server = -1;
	nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	return send(d->client, &c, 1, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static long try_write_after_close(struct duo *d)
{
	char c = 0;

	close(d->server);
	d->server = -1;
	readable(d->client, 1000);
	send(d->client, &c, 1, MSG_NOSIGNAL);
	nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	return send(d->client, &c, 1, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static const struct {
	const char *name;
	try_fn run;
	bool listed;                            /* in docs/kernel.md */
} tries[] = {
	{"msg-waitall", try_waitall, true},
	{"rcvlowat-unread", try_rcvlowat, true},
	{"rcvlowat", try_rcvlowat_later, false},
	{"close-unread", try_close_unread, true},
	{"tcp-info", try_tcp_info, true},
	{"oob", try_oob, true},
	{"msg-trunc", try_trunc, true},
	{"keepalive", try_keepalive, true},
	{"zerocopy", try_zerocopy, true},
	{"early-eagain", try_early_eagain, true},
	{"peek", try_peek_then_read, false},
	{"reset", try_reset, false},
	{"write-after-close", try_write_after_close, false},
};

static int once(try_fn run, long *result)
{
	struct duo_opts o = {0};
	struct duo d;
	int err = duo_open(&d, &o);

	if (!err)
		*result = run(&d);
	duo_close(&d);
	return err;
}

static int compare(struct kit *k, size_t i)
{
	long plain = 0, meshed = 0;
	int err;

	k->ctl.flags &= ~CTL_SHORT_CIRCUIT;
	kit_ctl(k);
	err = once(tries[i].run, &plain);
	k->ctl.flags |= CTL_SHORT_CIRCUIT;
	kit_ctl(k);
	if (!err)
		err = once(tries[i].run, &meshed);
	if (!err && plain != meshed && !tries[i].listed)
		err = -EPROTO;
	printf("case %s difference-%s: TCP %ld, redirected %ld%s\n", err ? "fail" : "pass", tries[i].name, plain, meshed,
	       plain == meshed ? ", no difference" : "");
	return err != 0;
}

int differences(void)
{
	struct err e = {0};
	struct kit k;
	int err;

	if ((err = kit_open(&k, NULL, NULL, &e)) || (err = kit_enter(&k))) {
		printf("differences: %s\n", err_text(&e));
		kit_close(&k);
		return err == -EPERM || err == -ENOENT ? 77 : 1;
	}
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++)
		err |= compare(&k, i);
	kit_leave(&k);
	kit_close(&k);
	return err;
}
