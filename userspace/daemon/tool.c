/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/tool.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "agent/judge.h"
#include "agent/report.h"
#include "conf/dump.h"
#include "daemon/builtin.h"
#include "daemon/check.h"
#include "kern/detach.h"
#include "kern/features.h"
#include "model/store.h"
#include "weft/str.h"

#define DRAIN_MS 5000

/* ---- config-docs -------------------------------------------------------------------------------------------- */

static int config_docs_tool(const struct tool_args *a)
{
	struct buf out;

	(void)a;
	buf_init(&out);
	config_docs(&out, registry_choices());
	while (out.len) {
		struct slice s = buf_head(&out);

		fwrite(s.p, 1, s.n, stdout);
		buf_drop(&out, s.n);
	}
	buf_fini(&out);
	return 0;
}

/* ---- doctor ------------------------------------------------------------------------------------------------- */

static const char *rung(const struct features *f, const struct kern_verdict *v, char *why, size_t size)
{
	const struct features_row *miss = features_missing(f, FEATURES_BALANCE);

	why[0] = '\0';
	if (miss) {
		snprintf(why, size, "%s is missing: %s", miss->name, miss->detail);
		return "off";
	}
	miss = features_missing(f, FEATURES_SHORT_CIRCUIT);
	if (miss) {
		snprintf(why, size, "%s is missing: %s", miss->name, miss->detail);
		return "balance";
	}
	snprintf(why, size, "%s", v->why);
	return v->usable ? "full" : "balance";
}

static void print_doctor(const json_t *d)
{
	size_t i;
	json_t *row;

	printf("kernel %s: rung %s%s%s\n\nfound by trying:\n", json_string_value(json_object_get(d, "kernel")),
	       json_string_value(json_object_get(d, "rung")), *json_string_value(json_object_get(d, "why")) ? ": " : "",
	       json_string_value(json_object_get(d, "why")));
	json_array_foreach(json_object_get(d, "features"), i, row)
		printf("  %-3s %-28s %s%s%s\n", json_is_true(json_object_get(row, "ok")) ? "yes" : "NO",
		       json_string_value(json_object_get(row, "name")), json_string_value(json_object_get(row, "use")),
		       *json_string_value(json_object_get(row, "detail")) ? ": " : "",
		       json_string_value(json_object_get(row, "detail")));
	printf("\nknown-answer tests:\n");
	json_array_foreach(json_object_get(d, "selfTest"), i, row)
		printf("  %-8s %-24s %-12s %s\n", json_string_value(json_object_get(row, "verdict")),
		       json_string_value(json_object_get(row, "case")), json_string_value(json_object_get(row, "class")),
		       json_string_value(json_object_get(row, "detail")));
}

static int doctor(const struct tool_args *a)
{
	struct judge_answer answer = { 0 };
	struct kern_verdict v;
	struct features f = { 0 };
	struct err e = { 0 };
	struct utsname u;
	char why[512];
	json_t *d;

	uname(&u);
	features_probe(&f);
	answer.err = features_missing(&f, FEATURES_SHORT_CIRCUIT) ? -ENOTSUP : selftest_run(NULL, NULL, &answer.report, &e);
	snprintf(answer.words, sizeof(answer.words), "%s", answer.err == -ENOTSUP ? "a feature is missing" : err_text(&e));
	v = judge_verdict(&answer);
	d = json_pack("{ss ss sb sb so so}", "kernel", u.release, "rung", rung(&f, &v, why, sizeof(why)), "spliceSafe",
		      v.splice_safe, "leaveMap", v.leave_map, "features", report_features(&f), "selfTest",
		      report_selftest(&answer));
	json_object_set_new(d, "why", json_string(why));
	if (a->json) {
		json_dumpf(d, stdout, JSON_INDENT(2));
		printf("\n");
	} else {
		print_doctor(d);
	}
	json_decref(d);
	return 0;
}

/* ---- kernel-detach ------------------------------------------------------------------------------------------ */

static int kernel_detach(const struct tool_args *a)
{
	struct kern_conf c = { .instance = a->instance };
	struct detach_report r = { 0 };
	struct err e = { 0 };

	if (detach_run(&c, DRAIN_MS, &r, &e)) {
		fprintf(stderr, "weftd: %s\n", err_text(&e));
		return 1;
	}
	if (a->json)
		printf("{\"links\": %u, \"programs\": %u, \"maps\": %u, \"pairsLeft\": %u, \"socketsLeft\": %u}\n", r.links,
		       r.programs, r.maps, r.pairs_left, r.sockets_left);
	else if (r.nothing)
		printf("nothing of weft is in the kernel\n");
	else
		printf("removed %u links, %u programs, %u maps; %u connections had undelivered bytes, %u sockets keep their "
		       "program until they close\n",
		       r.links, r.programs, r.maps, r.pairs_left, r.sockets_left);
	return 0;
}

static const struct tool {
	const char *verb;
	int (*run)(const struct tool_args *a);
} tools[] = {
	{ "config-check", check_config },
	{ "config-docs", config_docs_tool },
	{ "doctor", doctor },
	{ "kernel-detach", kernel_detach },
};

int tool_run(const char *verb, const struct tool_args *a)
{
	for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++)
		if (!strcmp(verb, tools[i].verb))
			return tools[i].run(a);
	fprintf(stderr, "weftd: --tool %s: must be config-check, config-docs, doctor or kernel-detach\n", verb);
	return 2;
}
