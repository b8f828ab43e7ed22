/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/plugins.h"

#include <errno.h>
#include <stdio.h>

#include "conf/config.h"
#include "conf/plugin.h"
#include "daemon/builtin.h"
#include "weft/log.h"

/* "load balancer two-choices, registry one" */
static const char *brings(const struct weft_plugin *p, char *out, size_t size)
{
	const void *ops;
	size_t n = 0;

	snprintf(out, size, "nothing");
	for (int k = 0; k < EXTENSION_KINDS; k++)
		for (size_t i = 0; (ops = extension_of(p, k, i)) && n < size; i++)
			n += (size_t)snprintf(out + n, size - n, "%s%s %s", n ? ", " : "", extension_words[k], extension_name(ops));
	return out;
}

static int try_and_load(const char *path, struct err *e)
{
	const struct weft_plugin *what;
	char words[256];

	if (plugin_try(path, e) || plugin_load(path, e))
		return -EINVAL;
	what = plugins.v[plugins.n - 1].what;
	log_info("plugin", "%s %s (%s) brings %s", what->name, what->version, path, brings(what, words, sizeof(words)));
	return 0;
}

int plugins_start(const char *config)
{
	struct conf_errors errors = { 0 };
	int err = config_load_plugins(config, try_and_load, &errors);
	struct config *c = NULL;

	/* Whoever mends it wants to know all of it. */
	if (err && !config_load(config, registry_choices(), &c, &errors))
		config_free(c);
	for (size_t i = 0; i < errors.n; i++)
		fprintf(stderr, "%s\n", errors.text[i]);
	if (errors.more)
		fprintf(stderr, "and %zu errors more\n", errors.more);
	conf_errors_fini(&errors);
	return err;
}

int plugins_again(const char *const *paths, unsigned n, struct err *e)
{
	for (unsigned i = 0; i < n; i++) {
		const struct weft_plugin *what;

		if (plugin_check_file(paths[i], e) || plugin_load(paths[i], e))
			return err_add(e, -EINVAL, "plugin %s", paths[i]);
		what = plugins.v[plugins.n - 1].what;
		log_info("proxy", "has plugin %s %s", what->name, what->version);
	}
	return 0;
}
