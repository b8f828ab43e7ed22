/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters that do what a request says: "probe", "probe-two" and "probe-needs", which wants a tag of listeners, each by the
 * words of its own header (x-probe, x-probe-two). A word is PART:DEED or PART:DEED:VALUE, PART one of q qb qt i r rb rt
 * (request, its body, trailers; 1xx; response ...), DEED
 *	wait:MS  then:VERDICT   waits, and goes on with that (next)      reply:STATUS  reset
 *	collect:BYTES           up  drop  add:TEXT                      of the body: in capitals, none, with more
 *	set:NAME=VALUE  path:PATH (a route is looked up again)  subset:KEY=VALUE  note:KEY=VALUE
 * What it was shown is told in the answer's header x-seen-NAME, and when it is done in the log.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weft/plugin.h>

enum { WORDS_MAX = 24, SEEN_MAX = 400 };

struct probe_conf {             /* filters[]: {type: probe, tag: a} */
	struct slice tag;
	char *copy;             /* of tag, by init */
};

struct probe_word {
	struct slice part, deed, value;
};

struct probe {
	unsigned nwords, nseen;
	struct probe_word words[WORDS_MAX];
	char seen[SEEN_MAX];
	enum filter_verdict then;       /* at the end of a wait */
	struct slice path;
};

static const struct conf_item probe_rows[] = {
	CONF_ITEM(struct probe_conf, tag, "tag", STRING, .max = 20, .dflt = "none", .help = "shown with what is seen"), CONF_END
};

/* What a rule that names it alone lacks. */
static const struct conf_item needs_rows[] = {
	CONF_ITEM(struct probe_conf, tag, "tag", STRING, .required = true, .max = 20, .help = "shown with what is seen"), CONF_END
};

static int probe_init(void *conf, struct err *e)
{
	struct probe_conf *c = conf;

	if (slice_eq_str(c->tag, "bad"))
		return err_add(e, -EINVAL, "tag: bad is bad");
	c->copy = calloc(1, c->tag.n + 1);
	if (!c->copy)
		return -ENOMEM;
	memcpy(c->copy, c->tag.p, c->tag.n);
	return 0;
}

static void probe_fini(void *conf)
{
	free(((struct probe_conf *)conf)->copy);
}

static int probe_worker_init(struct filter_worker *w, struct err *e)
{
	const struct probe_conf *c = w->conf;

	if (slice_eq_str(c->tag, "broken"))
		return err_add(e, -EIO, "tag: broken is broken");
	log_info("probe", "%s worker of %s begins", w->ops->name, c->copy);
	return 0;
}

static void probe_worker_fini(struct filter_worker *w)
{
	const struct probe_conf *c = w->conf;

	log_info("probe", "%s worker of %s ends", w->ops->name, c->copy);
}

static struct slice cut(struct slice *s, char at)
{
	const char *end = s->n ? memchr(s->p, at, s->n) : NULL;
	struct slice head = { s->p, end ? (size_t)(end - s->p) : s->n };

	s->p += head.n + (end != NULL);
	s->n -= head.n + (end != NULL);
	return head;
}

static uint32_t number(struct slice s)
{
	uint32_t n = 0;

	for (size_t i = 0; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++)
		n = 10 * n + (uint32_t)(s.p[i] - '0');
	return n;
}

static void probe_learn(struct probe *s, struct slice text)
{
	while (text.n && s->nwords < WORDS_MAX) {
		struct slice word = cut(&text, ',');
		struct probe_word *w = &s->words[s->nwords++];

		w->part = cut(&word, ':');
		w->deed = cut(&word, ':');
		w->value = word;
	}
}

static void probe_see(struct filter *f, const char *part, size_t bytes, bool end)
{
	struct probe *s = f->state;
	char one[40];
	int n = snprintf(one, sizeof(one), "%s%s", s->nseen ? "," : "", part);

	if (part[1] == 'b')
		n += snprintf(one + n, sizeof(one) - (size_t)n, "%zu%s", bytes, end ? "e" : "");
	if (s->nseen + (unsigned)n < SEEN_MAX) {
		memcpy(s->seen + s->nseen, one, (size_t)n + 1);
		s->nseen += (unsigned)n;
	}
}

static enum filter_verdict verdict(struct filter *f, struct slice word, struct slice value)
{
	struct msg_header h = { SLICE_LIT("x-by"), slice_str(f->ops->name) };
	struct proto_reply r = { .status = 418, .wire_status = MSG_NO_STATUS, .text = SLICE_LIT("probed\n"),
				 .content_type = SLICE_LIT("text/x-probe"), .headers = &h, .nheaders = 1 };

	if (slice_eq_str(word, "reset"))
		return FILTER_RESET;
	if (!slice_eq_str(word, "reply"))
		return FILTER_NEXT;
	if (value.n)
		r.status = (int)number(value);
	filter_reply(f, &r, STREAM_DENIED, "probed");
	return FILTER_REPLY;
}

static void probe_body(struct buf *b, struct slice deed, struct slice value)
{
	struct buf out = { 0 };

	while (slice_eq_str(deed, "up") && b->len) {
		struct slice d = buf_head(b);

		for (size_t i = 0; i < d.n; i++)
			buf_add(&out, &(char){ d.p[i] >= 'a' && d.p[i] <= 'z' ? (char)(d.p[i] - 32) : d.p[i] }, 1);
		buf_drop(b, d.n);
	}
	buf_move(b, &out);
	if (slice_eq_str(deed, "drop"))
		buf_drop(b, b->len);
	if (slice_eq_str(deed, "add"))
		buf_add(b, value.p, value.n);
}

static void probe_head(struct filter *f, struct msg *m, struct slice deed, struct slice value)
{
	struct slice name = value, key = cut(&name, '=');

	if (slice_eq_str(deed, "set"))
		msg_set(m, key, name);
	if (slice_eq_str(deed, "note"))
		filter_note(f, key, name);
	if (slice_eq_str(deed, "subset"))
		filter_subset(f, key, name);
	if (slice_eq_str(deed, "collect"))
		filter_collect_body(f, number(value));
	if (slice_eq_str(deed, "path")) {
		m->path = msg_dup(m, value);
		msg_touch(m);
		filter_reroute(f);
	}
}

/* Every part: m or b is NULL. */
static enum filter_verdict probe_do(struct filter *f, const char *part, struct msg *m, struct buf *b, bool end)
{
	struct probe *s = f->state;
	enum filter_verdict v = FILTER_NEXT;

	probe_see(f, part, b ? b->len : 0, end);
	s->then = FILTER_NEXT;
	for (unsigned i = 0; i < s->nwords; i++) {
		const struct probe_word *w = &s->words[i];

		if (!slice_eq_str(w->part, part))
			continue;
		if (slice_eq_str(w->deed, "wait")) {
			filter_wake_after(f, number(w->value));
			v = FILTER_WAIT;
		} else if (slice_eq_str(w->deed, "then")) {
			s->then = verdict(f, w->value, (struct slice){ 0 });
		} else if (slice_eq_str(w->deed, "reply") || slice_eq_str(w->deed, "reset")) {
			v = verdict(f, w->deed, w->value);
		} else if (b) {
			probe_body(b, w->deed, w->value);
		} else {
			probe_head(f, m, w->deed, w->value);
		}
	}
	return v;
}

static enum filter_verdict probe_request(struct filter *f, struct msg *m)
{
	const struct probe_conf *route = f->route_conf, *conf = route ? route : f->conf;
	struct probe *s = f->state;
	char name[32];
	struct slice seen;

	snprintf(name, sizeof(name), "x-%s", f->ops->name);
	s->path = m->path;
	probe_learn(s, msg_dup(m, msg_get(m, slice_str(name))));
	seen = filter_note_get(f, SLICE_LIT("tags"));
	snprintf(s->seen, SEEN_MAX, "%.*s%s%s", (int)seen.n, seen.p ? seen.p : "", seen.n ? "+" : "", conf->copy);
	filter_note(f, SLICE_LIT("tags"), slice_str(s->seen));
	s->nseen = (unsigned)snprintf(s->seen, SEEN_MAX, "%s:", conf->copy);
	return probe_do(f, "q", m, NULL, false);
}

static enum filter_verdict probe_request_body(struct filter *f, struct buf *b, bool end)
{
	return probe_do(f, "qb", NULL, b, end);
}

static enum filter_verdict probe_request_trailers(struct filter *f, struct msg *m)
{
	return probe_do(f, "qt", m, NULL, true);
}

static enum filter_verdict probe_info(struct filter *f, struct msg *m)
{
	return probe_do(f, "i", m, NULL, false);
}

static enum filter_verdict probe_response(struct filter *f, struct msg *m)
{
	struct probe *s = f->state;
	enum filter_verdict v = probe_do(f, "r", m, NULL, false);
	char name[32];

	snprintf(name, sizeof(name), "x-seen-%s", f->ops->name);
	msg_add(m, slice_str(name), slice_str(s->seen));
	return v;
}

static enum filter_verdict probe_response_body(struct filter *f, struct buf *b, bool end)
{
	return probe_do(f, "rb", NULL, b, end);
}

static enum filter_verdict probe_response_trailers(struct filter *f, struct msg *m)
{
	return probe_do(f, "rt", m, NULL, true);
}

static void probe_wake(struct filter *f)
{
	struct probe *s = f->state;

	filter_resume(f, s->then);
}

static void probe_done(struct filter *f)
{
	const struct probe *s = f->state;

	log_info("probe", "%s done %.*s %d %s", f->ops->name, SLICE_ARG(s->path), f->info->status, s->seen);
}

#define PROBE(word, rows)                                                                                              \
	{                                                                                                              \
		.name = (word), .listener = { (rows), sizeof(struct probe_conf), probe_init, probe_fini },         \
		.route = { probe_rows, sizeof(struct probe_conf), probe_init, probe_fini }, .state_size = sizeof(struct probe), \
		.worker_init = probe_worker_init, .worker_fini = probe_worker_fini, .request = probe_request,         \
		.request_body = probe_request_body, .request_trailers = probe_request_trailers,                       \
		.response_info = probe_info, .response = probe_response, .response_body = probe_response_body,        \
		.response_trailers = probe_response_trailers, .wake = probe_wake, .done = probe_done,                  \
	}

static const struct filter_ops probe_one = PROBE("probe", probe_rows), probe_two = PROBE("probe-two", probe_rows),
			       probe_needs = PROBE("probe-needs", needs_rows);

WEFT_PLUGIN(.name = "probe", .version = "1", .filters = (const struct filter_ops *const[]){ &probe_one, &probe_two, &probe_needs, NULL });
