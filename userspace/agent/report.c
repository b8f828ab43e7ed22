/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/report.h"

#include <string.h>

json_t *report_features(const struct features *f)
{
	static const char *const need[] = { "balance", "routes", "shortCircuit", "optional" };
	json_t *list = json_array();

	for (size_t i = 0; i < f->n; i++) {
		const struct features_row *r = &f->row[i];

		json_array_append_new(list, json_pack("{ss ss ss sb ss}", "name", r->name, "neededFor", need[r->need], "use", r->use,
						      "ok", r->ok, "detail", r->ok ? "" : r->detail[0] ? r->detail
												      : strerror(-r->err)));
	}
	return list;
}

json_t *report_selftest(const struct judge_answer *a)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < a->report.n; i++) {
		const struct selftest_result *r = &a->report.result[i];

		json_array_append_new(list, json_pack("{ss ss ss si ss}", "case", r->name, "class",
						      selftest_class_text(r->cls), "verdict",
						      selftest_verdict_text(r->verdict), "microseconds", (int)r->us, "detail",
						      r->detail));
	}
	return list;
}
