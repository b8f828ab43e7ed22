// SPDX-License-Identifier: Apache-2.0
/* The Admin API's HTTP: any bytes, whole and split, on a connection that came over TCP and on one that did not. */
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/http_server.h"

static struct loop loop;
static struct http_server server;

static void handler(void *arg, const struct http_request *rq, struct http_response *rs)
{
	char value[32];

	(void)arg;
	http_query(rq->query, "a", value, sizeof(value));
	buf_add(&rs->body, rq->path.p, rq->path.n);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct err e = { 0 };

	(void)argc;
	(void)argv;
	return loop_init(&loop) || http_server_open(&server, &loop, NULL, NULL, handler, NULL, &e);
}

/* The first byte says where the rest is cut, and whether it came over TCP. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char answer[4096];
	size_t cut;
	int fd[2];

	if (n < 2 || n > 60000 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd))
		return 0;
	cut = 1 + data[0] / 2 % (n - 1);
	http_server_take(&server, fd[0], data[0] & 1);
	for (size_t at = 1; at < n; at = at < cut ? cut : n) {
		size_t end = at < cut ? cut : n;

		if (send(fd[1], data + at, end - at, MSG_NOSIGNAL) < 0)
			break;
		for (int i = 0; i < 20; i++) {
			loop_once(&loop, 0);
			while (recv(fd[1], answer, sizeof(answer), 0) > 0)
				;
		}
	}
	close(fd[1]);
	for (int i = 0; i < 3; i++)
		loop_once(&loop, 0);
	return 0;
}
