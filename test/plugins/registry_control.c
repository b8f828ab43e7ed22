/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hosts of one cluster, as a control plane says them: "control". By gRPC a stream of whole messages, each answered with
 * "ack VERSION"; else the lines of an HTTP answer that does not end. A state is "VERSION ADDRESS,ADDRESS..." ("ping" says
 * nothing), each replaces the one before; a try that is not the first says which version was seen last.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weft/plugin.h>
#include <weft/str.h>

#define HOSTS_MAX 64
#define LINE_MAX_ 65536

struct control_conf {
	struct slice cluster, url;
	struct slice report;            /* gRPC, unary: told of each state */
	struct slice ca, cert, key, name;
	uint64_t idle, ping, wait;      /* ns */
	uint64_t bound;                 /* bytes of one message */
	bool grpc;
};

#define STRING(field, text) CONF_ITEM(struct control_conf, field, #field, STRING, .help = text)
#define TIME(field, text) CONF_ITEM(struct control_conf, field, #field, DURATION, .help = text)

static const struct conf_item control_rows[] = {
	CONF_ITEM(struct control_conf, cluster, "cluster", STRING, .required = true, .max = 253, .help = "its name"),
	CONF_ITEM(struct control_conf, url, "url", STRING, .required = true, .help = "the control plane"),
	CONF_ITEM(struct control_conf, grpc, "grpc", BOOL, .help = "a gRPC stream, else HTTP/1.1"),
	CONF_ITEM(struct control_conf, bound, "bound", SIZE, .help = "bytes of one message or of all lines; 0: as client.h says"),
	STRING(report, "URL of a gRPC method that is told of each state; empty: none"),
	STRING(ca, "file of trusted CAs; empty: the system's"),
	STRING(cert, "file of an own certificate"),
	STRING(key, "file of its key"),
	CONF_ITEM(struct control_conf, name, "serverName", STRING, .help = "of its certificate; empty: the host's in url"),
	TIME(idle, "tries again after so long without a byte; 0s: never"),
	TIME(ping, "asks a silent gRPC server after so long; 0s: as client.h says"),
	TIME(wait, "before the second try; 0s: as client.h says"),
	CONF_END
};

struct control {
	struct registry *r;
	struct client_watch *watch;
	struct client_tls tls;
	struct conf_address hosts[HOSTS_MAX];
	size_t nhosts, nline;
	uint64_t version;
	bool synced;
	char text[512];                 /* of an ask */
	char line[LINE_MAX_];
};

/* ---- facts -------------------------------------------------------------------------------------------------- */

static void put_state(struct control *c, uint64_t version, const struct conf_address *hosts, size_t n)
{
	const struct control_conf *conf = c->r->conf;
	const struct registry_sink *sink = c->r->sink;
	struct fact_mark mark = { .registry = c->r->name, .file = conf->url };
	char key[253 + HOST_KEY_EXTRA];

	sink->begin(c->r->sink_arg);
	sink->put(c->r->sink_arg, fact_new(FACT_CLUSTER, conf->cluster, &mark));
	for (size_t i = 0; i < c->nhosts; i++)
		sink->del(c->r->sink_arg, FACT_HOST, host_key(key, conf->cluster, &c->hosts[i].ip, c->hosts[i].port));
	for (size_t i = 0; i < n; i++)
		sink->put(c->r->sink_arg, &host_new(conf->cluster, &hosts[i].ip, hosts[i].port, &mark)->fact);
	sink->commit(c->r->sink_arg, version);
	memcpy(c->hosts, hosts, n * sizeof(*hosts));
	c->nhosts = n;
	c->version = version;
	if (!c->synced)
		sink->synced(c->r->sink_arg);
	c->synced = true;
	sink->health(c->r->sink_arg, 0, NULL);
}

static int read_state(struct slice text, uint64_t *version, struct conf_address *hosts, size_t *n)
{
	char copy[4096], *p, *end;

	if (text.n >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	*version = strtoull(copy, &end, 10);
	*n = 0;
	if (end == copy || *end != ' ')
		return -EINVAL;
	for (p = strtok(end + 1, ","); p; p = strtok(NULL, ","))
		if (*n == HOSTS_MAX || conf_address_parse(slice_str(p), &hosts[(*n)++]) || !hosts[*n - 1].port)
			return -EINVAL;
	return *n ? 0 : -EINVAL;
}

static void reported(void *arg, int err, int status, const char *words, const struct msg *trailers)
{
	struct control *c = arg;

	(void)trailers;
	log_info("control", "reported version %llu: %d %d %s", (unsigned long long)c->version, err, status, words);
}

static void report(struct control *c)
{
	static const struct client_events on = { .end = reported };
	const struct control_conf *conf = c->r->conf;
	struct client_ask ask = { .url = conf->report, .grpc = true, .body = { c->text, 0 }, .tls = &c->tls, .timeout_ms = 60000 };
	int err;

	if (!conf->report.n)
		return;
	ask.body.n = (size_t)snprintf(c->text, sizeof(c->text), "has %llu", (unsigned long long)c->version);
	client_call(c->r->client, &ask, &on, c, &err);
}

static void take(struct control *c, struct slice text)
{
	const struct control_conf *conf = c->r->conf;
	struct conf_address hosts[HOSTS_MAX];
	uint64_t version;
	size_t n;

	if (slice_eq_str(text, "ping"))
		return;
	if (read_state(text, &version, hosts, &n)) {
		c->r->sink->health(c->r->sink_arg, -EPROTO, "what the control plane says makes no sense");
		client_watch_again(c->watch, "no state: want VERSION ADDRESS,ADDRESS...");
		return;
	}
	put_state(c, version, hosts, n);
	n = (size_t)snprintf(c->text, sizeof(c->text), "ack %llu", (unsigned long long)version);
	if (conf->grpc)
		client_send(client_watch_call(c->watch), (struct slice){ c->text, n }, false);
	report(c);
}

/* ---- the watch ---------------------------------------------------------------------------------------------- */

static int control_ask(void *arg, struct client_ask *ask, bool again)
{
	struct control *c = arg;
	const struct control_conf *conf = c->r->conf;
	unsigned long long seen = again ? c->version : 0;
	int n = conf->grpc ? snprintf(c->text, sizeof(c->text), "watch %llu", seen) :
			     snprintf(c->text, sizeof(c->text), "%.*s?seen=%llu", SLICE_ARG(conf->url), seen);
	struct slice text = { c->text, (size_t)n };

	c->nline = 0;
	ask->url = conf->grpc ? conf->url : text;
	ask->grpc = ask->stream = conf->grpc;
	if (conf->grpc)
		ask->body = text;
	ask->idle_ms = (uint32_t)(conf->idle / 1000000);
	ask->ping_ms = (uint32_t)(conf->ping / 1000000);
	ask->max_body = (uint32_t)conf->bound;
	ask->tls = &c->tls;
	return 0;
}

static void control_data(void *arg, struct slice data)
{
	struct control *c = arg;
	const struct control_conf *conf = c->r->conf;

	if (conf->grpc) {
		take(c, data);
		return;
	}
	for (; data.n; data.p++, data.n--) {
		if (*data.p != '\n' && c->nline < sizeof(c->line)) {
			c->line[c->nline++] = *data.p;
		} else {
			size_t n = c->nline;

			c->nline = 0;
			take(c, (struct slice){ c->line, n });
			/* Not again behind what made no sense. */
			if (!client_watch_call(c->watch))
				return;
		}
	}
}

static void control_end(void *arg, int err, int status, const char *words, const struct msg *trailers)
{
	struct control *c = arg;
	char text[256];

	(void)trailers;
	snprintf(text, sizeof(text), "control plane: %s (status %d)", words && words[0] ? words : "ended", status);
	c->r->sink->health(c->r->sink_arg, err ? err : -ENODATA, text);
}

static int control_start(struct registry *r, struct err *e)
{
	static const struct client_watch_events on = { .ask = control_ask, .on = { .data = control_data, .end = control_end } };
	const struct control_conf *conf = r->conf;
	const struct client_backoff backoff = { .first_ms = (uint32_t)(conf->wait / 1000000), .max_ms = 1000 };
	struct control *c = r->state;

	c->r = r;
	c->tls = (struct client_tls){ .ca_file = conf->ca, .cert_file = conf->cert, .key_file = conf->key, .server_name = conf->name };
	c->watch = client_watch_start(r->client, &on, &backoff, c);
	return c->watch ? 0 : err_add(e, -ENOMEM, "out of memory");
}

static const struct registry_ops registry_control = {
	.name = "control",
	.conf = control_rows,
	.conf_size = sizeof(struct control_conf),
	.state_size = sizeof(struct control),
	.start = control_start,
};

WEFT_PLUGIN(.name = "control", .version = "1.0", .registries = (const struct registry_ops *const[]){ &registry_control, NULL });
