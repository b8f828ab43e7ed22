// SPDX-License-Identifier: Apache-2.0
/* Many: messages, connections, and connections that look alike. */
#include "swarm.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int case_messages(struct rig *r)
{
	struct swarm s = {.nwires = r->whole ? 250 : 40, .messages = r->whole ? 2000 : 100};
	int err = swarm_open(r, &s);

	if (!err && !(err = swarm_start(r, &s)) && !(err = swarm_wait(r, &s)))
		err = swarm_accelerated(r, &s);
	swarm_close(&s);
	return err;
}

/* Streams that go on until the file r->flag appears, while something is done to the agent. */
static int case_long_streams(struct rig *r)
{
	struct swarm s = {.nwires = r->whole ? 200 : 40, .pause_us = 2000};
	int err = swarm_open(r, &s);

	if (!err && !(err = swarm_start(r, &s))) {
		printf("streams run\n");
		while (!err && access(r->flag ? r->flag : "/", F_OK)) {
			poll(NULL, 0, 50);
			err = swarm_watch(r, &s);
		}
		if (!err)
			err = swarm_accelerates(r, &s);
		swarm_stop(&s);
		err = swarm_wait(r, &s) ? -1 : err;
		if (!err)
			err = swarm_accelerated(r, &s);
	}
	swarm_close(&s);
	return err;
}

#define PORT	 7100
#define ROUNDS	 3
#define NCLIENTS 4

static bool whole(int fd, uint8_t *buf, size_t n, bool out)
{
	for (size_t done = 0; done < n;) {
		ssize_t k = out ? send(fd, buf + done, n - done, MSG_NOSIGNAL)
				: recv(fd, buf + done, n - done, 0);

		if (k <= 0)
			return false;
		done += k;
	}
	return true;
}

/*
 * Answers each message, whose first two bytes are its length; closes first when asked to by the
 * first message.
 */
static void serve_one(int fd)
{
	uint8_t buf[4096];
	struct timeval patience = {.tv_sec = 60};

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	for (int i = 0; i < ROUNDS; i++) {
		size_t n;

		if (!whole(fd, buf, 2, false))
			break;
		n = buf[0] | buf[1] << 8;
		if (n < 3 || n > sizeof(buf) || !whole(fd, buf + 2, n - 2, false) ||
		    !whole(fd, buf, n, true))
			break;
	}
	close(fd);
}

static void serve(int listener)
{
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd >= 0)
			serve_one(fd);
		else
			ready(listener, POLLIN, -1);
	}
}

/* One connection; by turns the client closes, waits for the server's close, or resets. */
static int call(const struct rig *r, const union address *to, socklen_t len, uint64_t seed)
{
	int fd = socket(to->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1, err = 0;
	struct linger l = {.l_onoff = seed % 3 == 2};
	struct timeval patience = {.tv_sec = 60};
	struct stream s = {.seed = seed};
	uint8_t buf[4096], got[4096];

	(void)r;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	if (connect(fd, &to->sa, len))
		err = -errno;
	for (int i = 0; i < ROUNDS && !err; i++) {
		size_t n = 3 + draw(&seed) % (sizeof(buf) - 2);

		n = n > sizeof(buf) ? sizeof(buf) : n;
		stream_bytes(&s, i * 4096, buf, n);
		buf[0] = n;
		buf[1] = n >> 8;
		if (!whole(fd, buf, n, true) || !whole(fd, got, n, false))
			err = -EIO;
		else if (memcmp(buf, got, n))
			err = -EILSEQ;
	}
	if (!err && s.seed % 3 == 1 && recv(fd, got, 1, 0) != 0)
		err = -EPROTO;
	close(fd);
	return err;
}

static void client(struct rig *r, const union address *to, socklen_t len, int id, int n)
{
	int err = pod_enter(&r->pod[r->lay->from]);

	for (int i = 0; i < n && !err; i++)
		if ((err = call(r, to, len, (uint64_t)i * NCLIENTS + id)))
			fault(r, err, "connection %d of client %d", i, id);
	_exit(err != 0);
}

static int case_short_connections(struct rig *r)
{
	const int n = (r->whole ? 10000 : 1200) / NCLIENTS;
	const struct wire_opts o = {.port = PORT};
	pid_t servers[2], clients[NCLIENTS];
	uint64_t accelerated;
	union address to;
	struct wire w;
	int err, status, bad = 0;
	socklen_t len = sizeof(to);

	/* The first connection tells the address; its listener stays. */
	if ((err = wire_open(r, &w, &o)))
		return err;
	getpeername(w.c, &to.sa, &len);
	for (int i = 0; i < 2; i++)
		if (!(servers[i] = fork()))
			serve(w.listener);
	for (int i = 0; i < NCLIENTS; i++)
		if (!(clients[i] = fork()))
			client(r, &to, len, i, n);
	for (int i = 0; i < NCLIENTS; i++) {
		waitpid(clients[i], &status, 0);
		bad += status != 0;
	}
	for (int i = 0; i < 2; i++) {
		kill(servers[i], SIGKILL);
		waitpid(servers[i], NULL, 0);
	}
	wire_close(&w);
	if (bad)
		return fault(r, -EPROTO, "%d of %d clients failed", bad, NCLIENTS);
	accelerated = counted(r, REASON_ACCEL, n * NCLIENTS * 99 / 100);
	printf("  %d connections, %llu accelerated in both directions\n", n * NCLIENTS,
	       (unsigned long long)accelerated);
	if (accelerated < (uint64_t)n * NCLIENTS * 99 / 100)
		err = fault(r, -EPROTO, "%llu of %d connections accelerated",
			    (unsigned long long)accelerated, n * NCLIENTS);
	return err;
}

/* The same addresses and ports in two namespaces at the same time. */
static int case_same_ports(struct rig *r)
{
	struct wire_opts o = {.from = POD_A, .to = POD_A, .port = 7200, .client_port = 7201};
	struct layout lay = {"lo4", POD_A, POD_A, AF_INET, true};
	struct wire w[2] = {{.listener = -1, .c = -1, .s = -1}, {.listener = -1, .c = -1, .s = -1}};
	int err;

	r->lay = &lay;
	if ((err = wire_open(r, &w[0], &o)))
		return err;
	o.from = o.to = POD_B;
	if (!(err = wire_open(r, &w[1], &o)))
		for (int i = 0; i < 100 && !err; i++)
			if (!(err = up(r, &w[i & 1], 3000)) && !(err = up(r, &w[!(i & 1)], 5000)) &&
			    !(err = down(r, &w[0], 700)) && !(err = down(r, &w[1], 800)) &&
			    !(err = drain(r, &w[0])))
				err = drain(r, &w[1]);
	if (!err && !(err = want_all(r, &w[0])))
		err = want_all(r, &w[1]);
	wire_close(&w[0]);
	wire_close(&w[1]);
	return err;
}

/* clang-format off */
const struct torture_case many_cases[] = {
	CASE("messages", case_messages, ON_VETH4 | ON_LO6,
	     "messages of 1 B to 256 KiB over many connections", .limit_s = 120, .limit_long_s = 1800),
	CASE("short-connections", case_short_connections, ON_VETH4 | ON_LO6,
	     "connect, three round trips, close", .limit_s = 60, .limit_long_s = 300),
	CASE("same-ports", case_same_ports, ON_LO4,
	     "127.0.0.1 with the same ports in two namespaces"),
	CASE("long-streams", case_long_streams, ON_VETH4,
	     "streams until told, for what is done to the agent", .limit_s = 180, .limit_long_s = 900, .asked = true),
	{.name = NULL},
};
/* clang-format on */
