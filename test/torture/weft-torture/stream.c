// SPDX-License-Identifier: Apache-2.0
#include "stream.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define CHUNK 65536

uint64_t mix64(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

uint64_t draw(uint64_t *state)
{
	return mix64(*state += 0x9e3779b97f4a7c15ull);
}

static uint64_t word(const struct stream *s, uint64_t i)
{
	return mix64(s->seed + i * 0x9e3779b97f4a7c15ull);
}

void stream_bytes(const struct stream *s, uint64_t off, uint8_t *buf, size_t n)
{
	while (n) {
		uint64_t w = word(s, off / 8);
		size_t skip = off % 8, part = 8 - skip < n ? 8 - skip : n;

		memcpy(buf, (uint8_t *)&w + skip, part);
		buf += part;
		off += part;
		n -= part;
	}
}

int stream_check(struct stream *s, const uint8_t *buf, size_t n)
{
	uint8_t want[4096];

	while (n) {
		size_t part = n < sizeof(want) ? n : sizeof(want), i = 0;

		stream_bytes(s, s->off, want, part);
		if (memcmp(want, buf, part)) {
			while (want[i] == buf[i])
				i++;
			s->wrong = s->off + i;
			return -EILSEQ;
		}
		s->off += part;
		buf += part;
		n -= part;
	}
	return 0;
}

int ready(int fd, short events, int ms)
{
	struct pollfd p = {.fd = fd, .events = events};

	return poll(&p, 1, ms) > 0;
}

int stream_say(int fd, struct stream *s, size_t n, int flags)
{
	static __thread uint8_t buf[CHUNK * 4];

	while (n) {
		size_t part = n < sizeof(buf) ? n : sizeof(buf);
		ssize_t w;

		stream_bytes(s, s->off, buf, part);
		w = send(fd, buf, part, flags | MSG_NOSIGNAL);
		if (w < 0 && errno == EAGAIN) {
			if (!ready(fd, POLLOUT, PATIENCE_MS))
				return -ETIMEDOUT;
			continue;
		}
		if (w < 0)
			return -errno;
		s->off += w;
		n -= w;
	}
	return 0;
}

int stream_hear(int fd, struct stream *s, size_t n)
{
	static __thread uint8_t buf[CHUNK];

	while (n) {
		ssize_t r = recv(fd, buf, n < sizeof(buf) ? n : sizeof(buf), MSG_DONTWAIT);
		int err;

		if (r < 0 && errno == EAGAIN) {
			if (!ready(fd, POLLIN, PATIENCE_MS))
				return -ETIMEDOUT;
			continue;
		}
		if (r <= 0)
			return r ? -errno : -ENODATA;
		if ((err = stream_check(s, buf, r)))
			return err;
		n -= r;
	}
	return 0;
}

int stream_end(int fd)
{
	char c;
	ssize_t r;

	if (!ready(fd, POLLIN, PATIENCE_MS))
		return -ETIMEDOUT;
	r = recv(fd, &c, 1, MSG_DONTWAIT);
	return r < 0 ? -errno : r ? -EMSGSIZE : 0;
}

ssize_t stream_fill(int fd, struct stream *s, size_t step, size_t most, int ms)
{
	static __thread uint8_t buf[CHUNK];
	uint64_t from = s->off;

	if (step > sizeof(buf))
		step = sizeof(buf);
	while (s->off - from < most) {
		ssize_t w;

		stream_bytes(s, s->off, buf, step);
		w = send(fd, buf, step, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (w >= 0)
			s->off += w;
		else if (errno != EAGAIN)
			return -errno;
		else if (!ready(fd, POLLOUT, ms))
			break;
	}
	return s->off - from;
}
