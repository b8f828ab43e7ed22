/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/vet.h"

#include <errno.h>
#include <stdlib.h>

#include "agent/secret.h"
#include "base/mem.h"
#include "model/fact.h"
#include "model/store.h"
#include "weft/str.h"

struct vetting {
	void (*say)(void *arg, const char *line);
	void *arg;
	struct store_tx *tx;
	const struct fact *fact;
	bool bad;
};

static void say(struct vetting *v, const struct fact_mark *mark, const char *note, const char *what, const char *why)
{
	char *line = mem_printf("%.*s:%u: %s%s: %s", SLICE_ARG(mark->file), mark->line, note, what, why);

	v->say(v->arg, line);
	free(line);
}

/* A file may be named by many: the last put of a key counts. */
static void vet_secret(void *arg, struct slice name)
{
	struct vetting *v = arg;
	struct fact_mark mark = fact_mark(v->fact);
	struct secret_text t;
	struct err e = { 0 };
	char what[160];

	fact_name(v->fact, what, sizeof(what));
	if (secret_read(name, &t, &e)) {
		say(v, &mark, "", what, err_text(&e));
		v->bad = true;
		return;
	}
	if (t.warning)
		say(v, &mark, "note: ", what, t.warning);
	store_put(v->tx, secret_fact(name, &t, &mark));
	secret_fini(&t);
}

/* What rows cannot see: names that refer to nothing, addresses claimed twice. The store says it, as it would the agent. */
static bool commit(struct vetting *v)
{
	struct registry_verdict verdict;
	bool ok = store_commit(v->tx, 1, &verdict);

	for (size_t i = 0; !ok && i < verdict.nrefused; i++) {
		const struct registry_refusal *r = &verdict.refused[i];
		char *what = mem_printf("%s %.*s", fact_words[r->kind], SLICE_ARG(r->key));

		say(v, &r->mark, "", what, r->why);
		free(what);
	}
	return ok;
}

int vet_facts(const struct config *c, void (*line)(void *arg, const char *line), void *arg)
{
	struct store *s = store_new();
	struct vetting v = { .say = line, .arg = arg, .tx = store_begin(s, SLICE_LIT(CONFIG_REGISTRY)) };

	store_late(s, c->registries.n ? SLICE_LIT(CONFIG_REGISTRY) : (struct slice){ NULL, 0 });
	for (size_t i = 0; i < c->nfacts; i++) {
		v.fact = c->facts[i];
		secret_each(c->facts[i], vet_secret, &v);
		store_put(v.tx, fact_hold(c->facts[i]));
	}
	if (!v.bad)
		v.bad = !commit(&v);
	store_end(v.tx);
	store_free(s);
	return v.bad ? -EINVAL : 0;
}
