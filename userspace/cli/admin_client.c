/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/admin_client.h"

#include <errno.h>
#include <llhttp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "weft/buf.h"

struct answer {
	struct buf body;
	bool complete;
};

static int on_body(llhttp_t *p, const char *at, size_t n)
{
	struct answer *a = p->data;

	return buf_add(&a->body, at, n) ? HPE_USER : 0;
}

static int on_complete(llhttp_t *p)
{
	((struct answer *)p->data)->complete = true;
	return 0;
}

static const llhttp_settings_t settings = { .on_body = on_body, .on_message_complete = on_complete };

static int dial(const char *path, struct err *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = 10 };
	int fd;

	if (strlen(path) >= sizeof(a.sun_path))
		return err_add(e, -ENAMETOOLONG, "%s: a socket's path has at most %zu bytes", path, sizeof(a.sun_path) - 1);
	strcpy(a.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_errno(e, -errno, "socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (void *)&a, sizeof(a))) {
		int err = -errno;

		close(fd);
		return err_errno(e, err, "%s: is weftd running? (another socket: --socket PATH)", path);
	}
	return fd;
}

static int ask(int fd, const char *method, const char *target, llhttp_t *p, struct answer *a, struct err *e)
{
	char in[16384];
	struct buf out;
	int err = 0;

	buf_init(&out);
	buf_printf(&out, "%s %s HTTP/1.1\r\nHost: weft\r\nConnection: close\r\n\r\n", method, target);
	while (out.len && !err) {
		struct slice s = buf_head(&out);
		ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);

		if (n < 0)
			err = err_errno(e, -errno, "asking weftd");
		else
			buf_drop(&out, n);
	}
	buf_fini(&out);
	while (!err && !a->complete) {
		ssize_t n = recv(fd, in, sizeof(in), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, -errno, "waiting for weftd's answer");
		if (n == 0)
			return err_add(e, -EPROTO, "weftd closed the connection in the middle of its answer");
		if (llhttp_execute(p, in, n) != HPE_OK && !a->complete)
			return err_add(e, -EPROTO, "weftd's answer is not HTTP: %s", llhttp_get_error_reason(p));
	}
	return err;
}

static int parse(struct buf *body, const char *target, json_t **out, struct err *e)
{
	struct slice s = buf_pull(body, body->len);
	json_error_t je;

	*out = json_loadb(s.p ? s.p : "", s.n, JSON_DECODE_ANY, &je);
	return *out ? 0 : err_add(e, -EPROTO, "%s: the answer is not JSON: %s", target, je.text);
}

int admin_ask(const char *socket_path, const char *method, const char *target, int *status, json_t **out, struct err *e)
{
	struct answer a = { .complete = false };
	llhttp_t p;
	int err, fd = dial(socket_path, e);

	if (fd < 0)
		return fd;
	buf_init(&a.body);
	llhttp_init(&p, HTTP_RESPONSE, &settings);
	p.data = &a;
	err = ask(fd, method, target, &p, &a, e);
	close(fd);
	if (!err) {
		*status = p.status_code;
		err = parse(&a.body, target, out, e);
	}
	buf_fini(&a.body);
	return err;
}
