/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/taking.h"

#include "agent/agent.h"
#include "model/dump.h"
#include "model/part.h"
#include "weft/str.h"

struct taking {
	const struct agent *a;
	const struct cluster *c;
	const struct locality *here;            /* NULL: unknown */
	const struct name_value *want;
	size_t nwant;
	struct part_level level[PRIORITY_MAX + 1]; /* those with hosts, by priority */
	uint8_t at[PRIORITY_MAX + 1];           /* of a priority in level */
	uint32_t nlevels;
	bool near[PRIORITY_MAX + 1];            /* of a level: some near host is well */
};

static bool takes_any(const struct host *h)
{
	return h->state == HOST_READY && h->weight;
}

static uint32_t state_of(const struct taking *t, const struct host *h)
{
	return overlay_get(&t->a->states.overlay, h->fact.key);
}

static bool anybody_carries(const struct cluster *c, const struct name_value *want, size_t n)
{
	for (size_t i = 0; i < c->nhosts; i++) {
		if (takes_any(c->hosts[i]) && part_carries(c->hosts[i], want, n))
			return true;
	}
	return false;
}

/* False: nobody may be given anything. */
static bool choose(struct taking *t, const struct route_backend *b, const char **fallback)
{
	static const char *const words[] = { "none", "any", "default" };
	const struct cluster_fact *conf = t->c->conf;

	*fallback = NULL;
	t->want = b->subset;
	t->nwant = b->nsubset;
	if (!t->nwant || (part_declared(conf, t->want, t->nwant) && anybody_carries(t->c, t->want, t->nwant)))
		return true;
	*fallback = words[conf->fallback];
	t->want = conf->subset_default;
	t->nwant = conf->fallback == SUBSET_DEFAULT ? conf->nsubset_default : 0;
	return conf->fallback != SUBSET_NONE;
}

static void count(struct taking *t)
{
	uint32_t hosts[PRIORITY_MAX + 1] = { 0 }, usable[PRIORITY_MAX + 1] = { 0 };
	bool near[PRIORITY_MAX + 1] = { false };

	for (size_t i = 0; i < t->c->nhosts; i++) {
		const struct host *h = t->c->hosts[i];

		if (!takes_any(h) || !part_carries(h, t->want, t->nwant))
			continue;
		hosts[h->priority]++;
		usable[h->priority] += !state_of(t, h);
		near[h->priority] |= !state_of(t, h) && part_near(t->here, h, t->c->conf->prefer);
	}
	for (unsigned p = 0; p <= PRIORITY_MAX; p++) {
		if (!hosts[p])
			continue;
		t->at[p] = (uint8_t)t->nlevels;
		t->near[t->nlevels] = near[p];
		t->level[t->nlevels++] = (struct part_level){ .hosts = hosts[p], .usable = usable[p] };
	}
	part_weigh(t->level, t->nlevels, t->c->conf->panic_percent);
}

static json_t *takes_json(const struct taking *t, const struct host *h)
{
	const struct part_level *l = &t->level[t->at[h->priority]];
	bool near = t->near[t->at[h->priority]] && !l->panic;

	if (!takes_any(h))
		return json_string(h->weight ? "draining" : "weight 0");
	if (state_of(t, h) && !l->panic)
		return json_string("not well");
	if (near && !part_near(t->here, h, t->c->conf->prefer))
		return json_string("farther away");
	if (!l->load)
		return json_string("lower priority");
	return json_sprintf("%u%%%s", l->load, l->panic ? " (panic)" : "");
}

static json_t *host_json(const struct taking *t, const struct host *h)
{
	const char *health = health_words(&t->a->health, h->fact.key);
	struct conf_address at = { h->ip, h->port };
	char text[64];
	json_t *o = json_pack("{ss si ss si so so}", "address", conf_address_name(&at, text), "weight", (int)h->weight, "state",
			      h->state == HOST_READY ? "ready" : "draining", "priority", (int)h->priority, "zone",
			      dump_text(h->locality->zone), "takes", takes_json(t, h));

	if (state_of(t, h) & HOST_EJECTED)
		health = "ejected";
	if (health)
		json_object_set_new(o, "health", dump_text(slice_str(health)));
	return o;
}

json_t *taking_json(const struct agent *a, const struct cluster *c, const struct route_backend *b, const char **fallback)
{
	const struct fact *node = snapshot_fact(a->publish.now, FACT_NODE, (struct slice){ 0 });
	struct taking t = { .a = a, .c = c, .here = node ? ((const struct node *)node)->locality : NULL };
	json_t *list = json_array();

	if (!choose(&t, b, fallback))
		return list;
	count(&t);
	for (size_t i = 0; i < c->nhosts; i++) {
		if (part_carries(c->hosts[i], t.want, t.nwant))
			json_array_append_new(list, host_json(&t, c->hosts[i]));
	}
	return list;
}
