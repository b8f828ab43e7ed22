// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpc.h"

#define READ 65536u

void die(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	fprintf(stderr, "rpc: ");
	vfprintf(stderr, format, ap);
	fprintf(stderr, "\n");
	exit(1);
}

static char *room(char **p, size_t *have, size_t want)
{
	size_t n = *have ? *have : READ;

	while (n < want)
		n *= 2;
	if (n != *have)
		*p = realloc(*p, n);
	if (!*p)
		die("out of memory");
	*have = n;
	return *p;
}

struct conn *conn_new(int fd)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c)
		die("out of memory");
	c->fd = fd;
	return c;
}

void conn_free(struct conn *c)
{
	close(c->fd);
	free(c->in);
	free(c->out);
	free(c);
}

bool conn_read(struct conn *c, bool *again)
{
	ssize_t n = recv(c->fd, room(&c->in, &c->in_room, c->in_n + READ) + c->in_n, READ, 0);

	*again = n == (ssize_t)READ;
	if (n <= 0)
		return n < 0 && errno == EAGAIN;
	c->in_n += (size_t)n;
	return true;
}

void conn_used(struct conn *c, size_t n)
{
	c->in_n -= n;
	memmove(c->in, c->in + n, c->in_n);
}

char *conn_room(struct conn *c, size_t n)
{
	char *p = room(&c->out, &c->out_room, c->out_n + n) + c->out_n;

	c->out_n += n;
	return p;
}

bool conn_send(struct conn *c)
{
	ssize_t n;

	if (!c->out_n)
		return true;
	n = send(c->fd, c->out, c->out_n, MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN;
	c->out_n -= (size_t)n;
	memmove(c->out, c->out + n, c->out_n);
	return true;
}
