/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/discovery.h"
#include "agent/secrets.h"
#include "agent/sources.h"
#include "agent/vet.h"
#include "base/log_sink.h"
#include "conf/config.h"
#include "daemon/builtin.h"
#include "daemon/plugins.h"
#include "event/loop.h"
#include "model/fact.h"
#include "model/notes.h"
#include "model/snapshot.h"
#include "model/store.h"
#include "weft/str.h"

/* ---- notes: not wrong, but otherwise than one may think ------------------------------------------------------ */

static void note(const struct fact *f, const char *words)
{
	struct fact_mark mark = fact_mark(f);

	fprintf(stderr, "%.*s:%u: note: %s %.*s: %s\n", SLICE_ARG(mark.file), mark.line, fact_words[f->kind],
		SLICE_ARG(f->key), words);
}

/* Who has a cluster: what of its settings only others would use does nothing. */
enum { USED_UDP = 1, USED_TCP = 2, USED_ELSE = 4 };

static unsigned used_by(const struct listener *l)
{
	return slice_eq_str(l->protocol, "udp") ? USED_UDP : slice_eq_str(l->protocol, "tcp") ? USED_TCP : USED_ELSE;
}

static bool has_backend(const struct route_backend *v, size_t n, struct slice cluster)
{
	while (n && !slice_eq(v[n - 1].cluster, cluster))
		n--;
	return n;
}

static unsigned used_in_listeners(const struct snapshot *s, struct slice cluster)
{
	struct fact_set all = snapshot_facts(s, FACT_LISTENER);
	unsigned used = 0;

	for (size_t i = 0; i < all.n; i++) {
		const struct listener *l = (const struct listener *)all.v[i];

		for (size_t k = 0; k < l->nrules; k++)
			if (has_backend(l->rules[k].backends, l->rules[k].nbackends, cluster))
				used |= used_by(l);
	}
	return used;
}

static unsigned used_elsewhere(const struct snapshot *s, struct slice cluster)
{
	struct fact_set routes = snapshot_facts(s, FACT_ROUTE), services = snapshot_facts(s, FACT_SERVICE);

	for (size_t i = 0; i < routes.n; i++) {
		const struct route *r = (const struct route *)routes.v[i];

		for (size_t k = 0; k < r->nrules; k++)
			if (has_backend(r->rules[k].backends, r->rules[k].nbackends, cluster))
				return USED_ELSE;
	}
	for (size_t i = 0; i < services.n; i++) {
		const struct service_fact *f = (const struct service_fact *)services.v[i];

		for (size_t k = 0; k < f->nports; k++)
			if (slice_eq(f->ports[k].cluster, cluster))
				return USED_ELSE;
	}
	return 0;
}

static void note_unused(const struct snapshot *s, const struct cluster_fact *c)
{
	unsigned used;

	if (!c->proxy_protocol && !c->pool.max_requests_per_connection)
		return;
	used = used_in_listeners(s, c->name) | used_elsewhere(s, c->name);
	if (c->proxy_protocol && used == USED_UDP)
		note(&c->fact, "proxyProtocol is not used: only listeners of protocol udp have this cluster");
	if (c->pool.max_requests_per_connection && used && !(used & USED_ELSE))
		note(&c->fact, "connectionPool.maxRequestsPerConnection is not used: only listeners of protocol tcp and udp have this cluster");
}

static void note_clusters(const struct snapshot *s)
{
	struct cluster_set all = snapshot_clusters(s);
	char words[320];

	for (size_t i = 0; i < all.n; i++) {
		const struct cluster_fact *c = all.v[i]->conf;
		uint16_t port;

		if (c->absent)
			note(&c->fact, "it is named here, and neither the configuration nor a registry that reads files gives it; "
				       "until one does, its requests are answered 503 (NC)");
		if (c->from_service.n && !discovery_find(s, c, &port, words, sizeof(words)))
			note(&c->fact, words);
		if (c->nsubset_default && c->fallback != SUBSET_DEFAULT)
			note(&c->fact, "subsets.default is not used: fallback is not default");
		note_unused(s, c);
		if (!lb_kernel_words[c->lb])
			continue;
		snprintf(words, sizeof(words), "%.*s is the proxy's; for services without routes %s in the kernel",
			 SLICE_ARG(cluster_balancer(c)), lb_kernel_words[c->lb]);
		note(&c->fact, words);
	}
}

static void note_services(const struct snapshot *s)
{
	struct fact_set all = snapshot_facts(s, FACT_SERVICE);
	char words[NOTES_TEXT], line[NOTES_TEXT + 32];

	for (size_t i = 0; i < all.n; i++) {
		const struct service_fact *f = (const struct service_fact *)all.v[i];

		if (f->fail == FAIL_CLOSED && !f->nroutes)
			note(&f->fact, "failMode is not used: the service has no routes");
		for (size_t k = 0; k < f->nports; k++) {
			if (!notes_family(s, f, &f->ports[k], words))
				continue;
			snprintf(line, sizeof(line), "port %u: %s", f->ports[k].port, words);
			note(&f->fact, line);
		}
	}
}

static void note_listeners(const struct snapshot *s)
{
	struct fact_set all = snapshot_facts(s, FACT_LISTENER);

	for (size_t i = 0; i < all.n; i++) {
		const struct listener *l = (const struct listener *)all.v[i];

		if (slice_eq_str(l->protocol, "http") && l->tls.mode != TLS_OFF && !l->tls.nalpn)
			note(&l->fact, "tls.alpn is not given, so clients that come by TLS get HTTP/1.1; [h2, http/1.1] offers HTTP/2, too");
	}
}

/* A folder that is not there on this machine, or not yet. */
static void note_sources(const struct hub *h)
{
	list_for(p, &h->sources) {
		const struct hub_source *s = container_of(p, struct hub_source, node);

		if (s->health_words)
			fprintf(stderr, "note: registry %s: %s\n", s->name, s->health_words);
	}
}

/* ---- all of it ----------------------------------------------------------------------------------------------- */

struct seen {
	size_t wrong, facts;
};

static void wrong(void *arg, const char *line)
{
	((struct seen *)arg)->wrong++;
	fprintf(stderr, "%s\n", line);
}

static void changed(void *arg)
{
	(void)arg;
}

static int look_at_model(struct store *store, struct seen *seen)
{
	struct snapshot *s = store_build(store, 0);

	note_clusters(s);
	note_services(s);
	note_listeners(s);
	for (int k = 0; k < FACT_KINDS; k++)
		seen->facts += k == FACT_HOST ? stat_get(&store_stats(store)->hosts) : snapshot_facts(s, k).n;
	snapshot_drop(s);
	store_bury(store);
	return seen->wrong ? -EINVAL : 0;
}

/* The registries' first scan, by the agent's own parts, without anybody to publish to. */
static int check_registries(const struct config *c, struct seen *seen)
{
	struct store *store = store_new();
	struct sources sources = { 0 };
	struct secrets secrets;
	struct err e = { 0 };
	struct hub hub;
	struct loop loop;
	int err = loop_init(&loop);

	if (err)
		goto free_store;
	hub_init(&hub, store, changed, NULL);
	secrets_init(&secrets, &loop, &hub);
	err = sources_check(&sources, &loop, &hub, c, wrong, seen, &e);
	if (err)
		fprintf(stderr, "%s\n", err_text(&e));
	else
		err = look_at_model(store, seen);
	if (!err)
		note_sources(&hub);
	sources_stop(&sources);
	secrets_fini(&secrets);
	hub_fini(&hub);
	loop_fini(&loop);
free_store:
	store_free(store);
	return err;
}

static void print_line(void *arg, const char *line)
{
	(void)arg;
	fprintf(stderr, "%s\n", line);
}

static int load(const char *path, struct config **c)
{
	struct conf_errors errors = { 0 };
	int err = config_load(path, registry_choices(), c, &errors);

	for (size_t i = 0; i < errors.n; i++)
		fprintf(stderr, "%s\n", errors.text[i]);
	if (errors.more)
		fprintf(stderr, "and %zu errors more\n", errors.more);
	conf_errors_fini(&errors);
	return err;
}

int check_config(const struct tool_args *a)
{
	struct config *c = NULL;
	struct seen seen = { 0 };
	int null, err;

	if (a->argc != 1) {
		fprintf(stderr, "weftd --tool config-check FILE: one file is needed\n");
		return 2;
	}
	/* What the agent would log is told here as lines of its own. */
	null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	log_open(null);
	err = plugins_start(a->argv[0]);
	if (!err)
		err = load(a->argv[0], &c);
	if (!err)
		err = vet_facts(c, print_line, NULL);
	if (!err)
		err = check_registries(c, &seen);
	if (!err && a->json)
		printf("{\"ok\": true, \"facts\": %zu, \"registries\": %zu}\n", seen.facts, c->registries.n);
	else if (!err)
		printf("%s: good: %zu facts, %zu registries\n", a->argv[0], seen.facts, c->registries.n);
	config_free(c);
	log_open(STDERR_FILENO);
	close(null);
	return err ? 2 : 0;
}
