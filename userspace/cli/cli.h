/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs of weft share: options after parsing, the table of verbs, one call to the daemon. */
#pragma once
#include "cli/render.h"
#include "weft/err.h"

/* Exit codes of weft and weftd. */
enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct cli {
	const char *socket;                     /* of the Admin API */
	enum output output;
	int argc;                               /* words after the verb */
	char **argv;
	const char *program;
};

struct verb {
	const char *name;                       /* "kernel maps": one or two words */
	const char *args;                       /* "[NAME]" */
	const char *help;                       /* one line */
	const char *example;
	int (*run)(struct cli *c);              /* exit code */
};

extern const struct verb verbs[];               /* ends with a NULL name */

/* The answer of the daemon, or NULL after the error was printed. status may be NULL: then only 200 is an answer. */
json_t *cli_get(const struct cli *c, const char *target, int *status);
/* Prints "weft: words" to stderr and returns code. */
int cli_fail(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Takes "--name VALUE" or "--name=VALUE" out of argv; NULL when absent. */
const char *cli_option(struct cli *c, const char *name);
/* Exit code 2 with a sentence when words are left over. */
int cli_no_more(const struct cli *c, int used);

/* Appends in to out[*at], what is not plain as %XX, terminated. 0; -1: it does not fit. */
int cli_encode(char *out, size_t size, size_t *at, const char *in);
int explain_http(struct cli *c);                /* "explain http ..." */
int explain_rpc(struct cli *c);                 /* "explain rpc ..." */

int verb_status(struct cli *c);
int verb_services(struct cli *c);
int verb_clusters(struct cli *c);
int verb_registries(struct cli *c);
int verb_routes(struct cli *c);
int verb_listeners(struct cli *c);
int verb_filters(struct cli *c);
int verb_methods(struct cli *c);
int verb_overload(struct cli *c);
int verb_connections(struct cli *c);
int verb_plugins(struct cli *c);
int verb_version(struct cli *c);
int verb_kernel_maps(struct cli *c);
int verb_kernel_programs(struct cli *c);
int verb_kernel_reasons(struct cli *c);
int verb_kernel_detach(struct cli *c);
int verb_doctor(struct cli *c);
int verb_explain(struct cli *c);
int verb_config_check(struct cli *c);
int verb_config_dump(struct cli *c);
int verb_reload(struct cli *c);
