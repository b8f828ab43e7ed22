// SPDX-License-Identifier: Apache-2.0
/* Any bytes as hessian2: read within their bounds, and what is read as one value is written so that it is read the same. */
#include <errno.h>
#include <stdlib.h>
#include "base/magic.h"
#include "proto/hessian.h"
#include "weft/buf.h"
#include "weft/str.h"

static struct hessian a, b;
static struct buf out;
static struct hessian_out o = { .buf = &out };

static void read_back(void)
{
	hessian_init(&b, buf_pull(&out, out.len));
	b.draft = o.draft;
}

/* Text is told apart from what it is made of by nothing but chunks, four-byte letters and odd bytes: the second writing is the first. */
static void text(struct slice s)
{
	struct slice one, two;
	bool parts;
	char *p;

	assert_always(!hessian_put_string(&o, s));
	read_back();
	assert_always(!hessian_string(&b, &one, &parts) && b.at == out.len);
	p = malloc(one.n + 1);
	if (parts)
		one.n = hessian_join(&b, one, p);
	else
		memcpy(p, one.p, one.n);
	one.p = p;
	buf_fini(&out);
	assert_always(!hessian_put_string(&o, one));
	read_back();
	assert_always(!hessian_string(&b, &two, &parts) && b.at == out.len);
	assert_always(parts || slice_eq(one, two));
	free(p);
	buf_fini(&out);
}

static void scalars(void)
{
	size_t at = a.at;
	int64_t l, l2;
	int32_t i, i2;
	double d, d2;

	if (!hessian_int(&a, &i)) {
		assert_always(!hessian_put_int(&o, i));
		read_back();
		assert_always(!hessian_int(&b, &i2) && i == i2 && b.at == out.len && out.len <= a.at - at);
	} else if (!hessian_long(&a, &l)) {
		assert_always(!hessian_put_long(&o, l));
		read_back();
		assert_always(!hessian_long(&b, &l2) && l == l2 && b.at == out.len && out.len <= a.at - at);
	} else if (!hessian_double(&a, &d)) {
		assert_always(!hessian_put_double(&o, d));
		read_back();
		assert_always(!hessian_double(&b, &d2) && !memcmp(&d, &d2, sizeof(d)) && b.at == out.len);
	} else if (!hessian_date(&a, &l)) {
		assert_always(a.at > at);
	}
	buf_fini(&out);
	a.at = at;
}

/* Openings and names of whatever is next. */
static void holders(void)
{
	const struct hessian_class *class;
	size_t at = a.at;
	uint32_t classes = a.nclasses, ref;
	struct slice name;
	bool parts;
	int64_t n;

	if (hessian_map(&a))
		assert_always(a.at == at);
	a.at = at;
	if (!hessian_list(&a, &n))
		assert_always(n >= -1 && n <= INT32_MAX);
	a.at = at;
	if (!hessian_object(&a, &class)) {
		hessian_class_name(&a, class);
		hessian_fields(&b, &a, class);
		for (uint32_t i = 0; i < class->fields && i < 4; i++)
			assert_always(!hessian_string(&b, &name, &parts));
	}
	a.at = at;
	a.nclasses = classes;
	if (hessian_ref(&a, &ref))
		assert_always(a.at == at);
	a.at = at;
}

/* Of a whole value no shorter part is one. */
static void prefixes(const char *p, size_t n)
{
	for (size_t k = 0; k < n; k += 1 + n / 50) {
		hessian_init(&b, (struct slice){ p, k });
		b.draft = a.draft;
		assert_always(hessian_skip(&b) == -ENODATA && b.at <= k);
	}
}

static void values(struct slice s)
{
	struct slice got;
	int err = 0;
	bool parts;

	text(s);
	hessian_init(&a, s);
	a.draft = o.draft;
	for (unsigned i = 0; !err && a.at < s.n; i++) {
		size_t at = a.at;

		scalars();
		holders();
		if (!hessian_string(&a, &got, &parts) || !hessian_binary(&a, &got, &parts))
			assert_always(a.at > at && got.n <= a.at - at);
		a.at = at;
		err = hessian_skip(&a);
		assert_always(err || (a.at > at && a.at <= s.n));
		if (!err && !i)
			prefixes(s.p, a.at);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	/* Its own memory: nothing is read beyond. */
	char *p = malloc(n + 1);

	memcpy(p, data, n);
	for (int draft = 0; draft < 2; draft++) {
		o.draft = draft;
		values((struct slice){ p, n });
	}
	free(p);
	return 0;
}
