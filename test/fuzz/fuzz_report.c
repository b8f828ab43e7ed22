// SPDX-License-Identifier: Apache-2.0
/* What the proxy says to the agent, byte by byte and whole: the same is heard, and nothing crashes. */
#include <stdint.h>
#include <stdlib.h>

#include "model/report.h"

struct heard {
	unsigned hellos, snapshots;
	uint64_t sum;
};

static void on_hello(void *arg, const struct report_hello *h)
{
	struct heard *x = arg;

	x->hellos++;
	x->sum = x->sum * 31 + h->version + h->workers + (unsigned char)h->build[0];
}

static void on_snapshot(void *arg, uint64_t number)
{
	struct heard *x = arg;

	x->snapshots++;
	x->sum = x->sum * 31 + number;
}

static void on_socket(void *arg, struct slice listener, uint32_t index)
{
	struct heard *x = arg;

	x->sum = x->sum * 31 + listener.n + index;
	for (size_t i = 0; i < listener.n; i++)
		x->sum = x->sum * 31 + (unsigned char)listener.p[i];
}

static void on_stat(void *arg, struct slice set, struct slice name, const uint64_t *v, size_t n)
{
	struct heard *x = arg;

	on_socket(arg, set, (uint32_t)n);
	on_socket(arg, name, 0);
	for (size_t i = 0; i < n; i++)
		x->sum = x->sum * 31 + v[i];
}

static void on_host(void *arg, struct slice key, uint32_t for_ms)
{
	on_socket(arg, key, for_ms);
}

static void on_want(void *arg, const struct report_want *w)
{
	struct heard *x = arg;

	x->sum = (x->sum * 31 + w->netns) * 31 + w->worker + w->n + w->family;
}

static struct heard hear(const uint8_t *data, size_t n, size_t step, int *err)
{
	static const struct report_sink sink = { on_hello, on_snapshot, NULL, on_socket, on_stat, on_host, on_want, NULL };
	struct heard x = { 0 };
	struct buf b;

	buf_init(&b);
	*err = 0;
	for (size_t at = 0; at < n && !*err; at += step) {
		buf_add(&b, data + at, n - at < step ? n - at : step);
		*err = report_feed(&b, &sink, &x, NULL);
	}
	buf_fini(&b);
	return x;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	int err_whole, err_bytes;
	struct heard whole = hear(data, n, n ? n : 1, &err_whole), bytes = hear(data, n, 1, &err_bytes);

	if (err_whole != err_bytes || whole.sum != bytes.sum || whole.hellos != bytes.hellos ||
	    whole.snapshots != bytes.snapshots)
		abort();
	return 0;
}
