// SPDX-License-Identifier: Apache-2.0
/* A configuration file of any bytes: either refused with words that name a line, or taken, and then what is shown of it
 * reads back the same. */
#include <jansson.h>
#include <stdlib.h>
#include "base/magic.h"
#include "conf/dump.h"
#include "weft/registry.h"
#include "weft/str.h"

extern const struct registry_ops registry_file;
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int load(struct slice text, struct config **c, struct conf_errors *errors)
{
	static struct conf_choice choices[2];   /* known to the configuration as long as it lives */

	choices[0] = (struct conf_choice){ .name = registry_file.name, .rows = registry_file.conf, .size = registry_file.conf_size,
					   .check = registry_file.check, .ops = &registry_file };
	return config_load_text(text, "f", choices, c, errors);
}

/* Of bytes that are no UTF-8 there is nothing to show: YAML has none. */
static void shown_reads_back(const struct config *c)
{
	json_t *shown = config_dump(c), *again;
	char *text = json_dumps(shown, 0);
	struct conf_errors errors = { 0 };
	struct config *copy;

	assert_always(text);
	assert_always(!load(slice_str(text), &copy, &errors));
	again = config_dump(copy);
	assert_always(json_equal(shown, again));
	config_free(copy);
	json_decref(shown);
	json_decref(again);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct conf_errors errors = { 0 };
	struct config *c;
	int err = load((struct slice){ (const char *)data, n }, &c, &errors);

	assert_always(!err == (c != NULL) && !err == !errors.n);
	for (size_t i = 0; i < errors.n; i++)
		assert_always(!strncmp(errors.text[i], "f:", 2) && errors.text[i][2] >= '1' && errors.text[i][2] <= '9');
	if (c)
		shown_reads_back(c);
	config_free(c);
	conf_errors_fini(&errors);
	return 0;
}
