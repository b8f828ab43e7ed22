// SPDX-License-Identifier: Apache-2.0
#include "kit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "model/fact.h"

static void nothing_given_is_all_defaults(void **state)
{
	struct config *c = kit_config("");
	char host[256], at[56];

	(void)state;
	gethostname(host, sizeof(host));
	assert_true(slice_eq_str(c->node.name, host));
	assert_int_equal(c->workers, 0);
	assert_string_equal(conf_address_name(&c->admin.address, at), "127.0.0.1:15000");
	assert_string_equal(c->admin.socket.p, "/run/weft/admin.sock");
	assert_int_equal(c->kernel.mode, CONFIG_KERNEL_AUTO);
	assert_string_equal(c->kernel.cgroup.p, "auto");
	assert_true(c->kernel.connect);
	assert_int_equal(c->kernel.short_circuit.enabled, CONFIG_AUTO);
	assert_int_equal(c->kernel.short_circuit.max_outstanding, 1 << 20);
	assert_false(c->kernel.short_circuit.assume_no_splice);
	assert_false(c->kernel.short_circuit.unmanaged);
	assert_int_equal(c->kernel.short_circuit.keepalive_ns, 0);
	assert_int_equal(c->kernel.maps.services, 65536);
	assert_int_equal(c->kernel.maps.slots, 1 << 21);
	assert_int_equal(c->registries.n, 0);
	assert_int_equal(c->logging.level, LOG_LEVEL_INFO);
	assert_int_equal(c->nfacts, 1);
	assert_int_equal(c->facts[0]->kind, FACT_NODE);
	config_free(c);
}

static void everything_given_is_kept(void **state)
{
	struct config *c = kit_config("node: {name: n1, locality: {region: r1, zone: z1}, labels: {b: 2, a: one}}\n"
				      "workers: 3\n"
				      "admin: {address: \"[::1]:8080\", socket: /tmp/a.sock}\n"
				      "kernel:\n"
				      "  mode: required\n"
				      "  cgroup: /sys/fs/cgroup/pods\n"
				      "  connect: false\n"
				      "  shortCircuit: {enabled: false, maxOutstanding: 64KiB, assumeNoSplice: true,\n"
				      "                 unmanaged: true, keepalive: 1h}\n"
				      "  maps: {services: 100, sockets: 4096}\n"
				      "registries:\n"
				      "- {name: files, type: file, path: /x}\n"
				      "- {type: file, burst: 9, path: /y, name: more}\n"
				      "logging: {level: debug}\n");
	const struct config_registry *r = c->registries.v;
	const struct node *n = (const struct node *)c->facts[0];
	char at[56];

	(void)state;
	assert_string_equal(c->node.name.p, "n1");
	assert_int_equal(c->workers, 3);
	assert_string_equal(conf_address_name(&c->admin.address, at), "[::1]:8080");
	assert_int_equal(c->kernel.mode, CONFIG_KERNEL_REQUIRED);
	assert_string_equal(c->kernel.cgroup.p, "/sys/fs/cgroup/pods");
	assert_false(c->kernel.connect);
	assert_int_equal(c->kernel.short_circuit.enabled, CONFIG_FALSE);
	assert_int_equal(c->kernel.short_circuit.max_outstanding, 65536);
	assert_true(c->kernel.short_circuit.assume_no_splice);
	assert_true(c->kernel.short_circuit.unmanaged);
	assert_true(c->kernel.short_circuit.keepalive_ns == 3600 * SEC);
	assert_int_equal(c->kernel.maps.services, 100);
	assert_int_equal(c->kernel.maps.sockets, 4096);
	assert_int_equal(c->kernel.maps.backends, 262144);
	assert_int_equal(c->logging.level, LOG_LEVEL_DEBUG);
	assert_int_equal(c->registries.n, 2);
	assert_int_equal(r[0].line, 12);
	assert_string_equal(r[0].name.p, "files");
	assert_ptr_equal(r[0].type.choice, kit_choices);
	assert_string_equal(((const struct kit_registry *)r[0].type.conf)->path.p, "/x");
	assert_int_equal(((const struct kit_registry *)r[0].type.conf)->burst, 7);
	assert_int_equal(((const struct kit_registry *)r[1].type.conf)->burst, 9);
	assert_true(slice_eq_str(n->name, "n1"));
	assert_true(slice_eq_str(n->locality->zone, "z1"));
	assert_int_equal(n->labels.n, 2);
	assert_true(slice_eq_str(n->labels.v[0].name, "a"));
	assert_true(slice_eq_str(n->labels.v[1].value, "2"));
	config_free(c);
}

static const struct bad bad[] = {
	/* fields */
	{ "nodes: {}\n", "f:1: nodes: no such field, did you mean node?" },
	{ "wokers: 1\n", "f:1: wokers: no such field, did you mean workers?" },
	{ "kernel: {connct: true}\n", "f:1: kernel.connct: no such field, did you mean connect?" },
	{ "admin: {port: 1}\n", "f:1: admin.port: no such field, want one of: address, socket" },
	{ "zzz: 1\n", "f:1: zzz: no such field, want one of: node, workers, admin, kernel, registries, plugins, workloads, services, "
		      "clusters, routes, listeners, telemetry, proxy, overload, logging" },
	{ "logging: {Level: info}\n", "f:1: logging.Level: no such field, did you mean level?" },
	/* types */
	{ "- a\n", "f:1: want a mapping, not a list" },
	{ "hello\n", "f:1: want a mapping, not hello" },
	{ "node: n1\n", "f:1: node: want a mapping, not n1" },
	{ "node: [n1]\n", "f:1: node: want a mapping, not a list" },
	{ "node: {name: {}}\n", "f:1: node.name: want text of at most 253 bytes, not a mapping" },
	{ "node: {labels: [a]}\n", "f:1: node.labels: want a mapping of text to text, not a list" },
	{ "node: {labels: {a: [b]}}\n", "f:1: node.labels.a: want text, not a list" },
	{ "registries: {}\n", "f:1: registries: want a list, not a mapping" },
	{ "registries: [x]\n", "f:1: registries[0]: want a mapping, not x" },
	{ "kernel: {connect: yes}\n", "f:1: kernel.connect: want true or false, not yes" },
	{ "kernel: {connect: \"true\"}\n", "f:1: kernel.connect: want true or false, not \"true\"" },
	{ "workers: many\n", "f:1: workers: want auto or a whole number from 1 to 64, not many" },
	{ "workers: \"2\"\n", "f:1: workers: want auto or a whole number from 1 to 64, not \"2\"" },
	{ "workers: 0\n", "f:1: workers: 0 is out of range, want auto or a whole number from 1 to 64" },
	{ "workers: 65\n", "f:1: workers: 65 is out of range, want auto or a whole number from 1 to 64" },
	{ "workers: -1\n", "f:1: workers: -1 is out of range, want auto or a whole number from 1 to 64" },
	{ "workers: 99999999999999999999\n",
	  "f:1: workers: 99999999999999999999 is out of range, want auto or a whole number from 1 to 64" },
	{ "workers: 1.5\n", "f:1: workers: want auto or a whole number from 1 to 64, not 1.5" },
	{ "kernel: {mode: on}\n", "f:1: kernel.mode: want auto, required or off, not on" },
	{ "kernel: {cgroup: pods}\n", "f:1: kernel.cgroup: want auto, or a path that begins with /" },
	{ "kernel: {shortCircuit: {enabled: maybe}}\n",
	  "f:1: kernel.shortCircuit.enabled: want auto, true or false, not maybe" },
	{ "kernel: {shortCircuit: {maxOutstanding: 1MB}}\n",
	  "f:1: kernel.shortCircuit.maxOutstanding: want a size such as 64KiB or 1MiB from 4KiB to 1GiB, not 1MB" },
	{ "kernel: {shortCircuit: {maxOutstanding: 2GiB}}\n",
	  "f:1: kernel.shortCircuit.maxOutstanding: 2GiB is out of range, want a size such as 64KiB or 1MiB from 4KiB to 1GiB" },
	{ "kernel: {shortCircuit: {keepalive: 10}}\n",
	  "f:1: kernel.shortCircuit.keepalive: want a duration such as 250ms, 10s or 1h from 0s to 32767s, not 10" },
	{ "kernel: {shortCircuit: {keepalive: 1500ms}}\n", "f:1: kernel.shortCircuit.keepalive: want whole seconds" },
	{ "kernel: {maps: {services: 1}}\n",
	  "f:1: kernel.maps.services: 1 is out of range, want a whole number from 16 to 16777216" },
	{ "admin: {address: localhost}\n", "f:1: admin.address: want IP:PORT (IPv6 as [IP]:PORT), not localhost" },
	{ "admin: {address: 127.0.0.1}\n", "f:1: admin.address: want IP:PORT (IPv6 as [IP]:PORT), not 127.0.0.1" },
	{ "admin: {address: \"127.0.0.1:70000\"}\n",
	  "f:1: admin.address: want IP:PORT (IPv6 as [IP]:PORT), not \"127.0.0.1:70000\"" },
	{ "admin: {address: \"0.0.0.0:1\"}\n",
	  "f:1: admin.address: want a loopback address: whoever reaches it may ask everything" },
	{ "admin: {address: \"[::]:1\"}\n",
	  "f:1: admin.address: want a loopback address: whoever reaches it may ask everything" },
	{ "admin: {socket: a.sock}\n", "f:1: admin.socket: want a path that begins with /" },
	{ "admin: {socket: \"\"}\n", "f:1: admin.socket: 0 bytes are too short, want at least 1" },
	{ "overload: {soft: 95, hard: 90}\n", "f:1: overload: soft: want less than hard, which is 90" },
	{ "overload: {memory: 1MiB}\n", "f:1: overload: memory: want 0 for no limit, or at least 32MiB" },
	{ "logging: {level: loud}\n", "f:1: logging.level: want error, warn, info or debug, not loud" },
	/* registries */
	{ "registries:\n- {type: file, path: /x}\n", "f:2: registries[0]: name is missing" },
	{ "registries:\n- {name: a, path: /x}\n", "f:2: registries[0]: type is missing" },
	{ "registries:\n- {name: a, type: file}\n", "f:2: registries[0]: path is missing" },
	{ "registries:\n- {name: a, type: fil, path: /x, zzz: 1}\n",
	  "f:2: registries[0].type: want one of: file; not fil (did you mean file?)" },
	{ "registries:\n- {name: a, type: kubernetes}\n", "f:2: registries[0].type: want one of: file; not kubernetes" },
	{ "registries:\n- {name: a, type: file, path: x}\n", "f:2: registries[0]: path: want one that begins with /" },
	{ "registries:\n- {name: a, type: file, path: /x, bust: 3}\n",
	  "f:2: registries[0].bust: no such field, did you mean burst?" },
	{ "registries:\n- {name: config, type: file, path: /x}\n",
	  "f:2: registries[0]: name: config is the name of this file's own services and clusters" },
	{ "registries:\n- {name: a, type: file, path: /x}\n- {name: a, type: file, path: /y}\n",
	  "f:3: registries[1].name: a is given twice, first in f:2" },
	/* not in this release */
	{ "policies: []\n",
	  "f:1: policies: this release would not enforce them, and a policy that is not enforced is worse than none" },
	{ "kernel: {xdp: {mode: auto}}\n", "f:1: kernel.xdp: the edge (XDP) is not part of this release" },
	/* several at once, in the order of the file */
	{ "workers: x\nkernel:\n  mode: on\n  bad: 1\nservices:\n- {name: a}\n",
	  "f:1: workers: want auto or a whole number from 1 to 64, not x\n"
	  "f:3: kernel.mode: want auto, required or off, not on\n"
	  "f:4: kernel.bad: no such field, want one of: mode, cgroup, connect, shortCircuit, maps\n"
	  "f:6: services[0]: addresses is missing\n"
	  "f:6: services[0]: ports is missing" },
	{ "workers: 1\n---\nworkers: 2\n", "f:2: a second document begins here, want one" },
};

static void what_is_wrong_is_said(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		kit_config_says(bad[i].text, bad[i].says);
}

static void errors_stop_at_a_bound(void **state)
{
	struct conf_errors errors = { 0 };
	struct err e = { 0 };
	struct config *c;
	char text[2048] = "registries:\n";

	(void)state;
	for (int i = 0; i < 50; i++)
		strcat(text, "- x\n");
	assert_int_equal(config_load_text(slice_str(text), "f", kit_choices, &c, &errors), -EINVAL);
	assert_int_equal(errors.n, CONF_ERRORS_MAX);
	assert_int_equal(errors.more, 30);
	assert_string_equal(errors.text[19], "f:21: registries[19]: want a mapping, not x");
	assert_int_equal(conf_errors_words(&errors, -EINVAL, &e), -EINVAL);
	assert_non_null(strstr(err_text(&e), "f:2: registries[0]: want a mapping, not x\nf:3: "));
	assert_non_null(strstr(err_text(&e), "\n(and 30 more)"));
	conf_errors_fini(&errors);
}

/* A path as deep as this does not fit where paths are kept. */
static void long_paths_are_cut(void **state)
{
	char text[700] = "node: {labels: {", says[200] = "f:1: node.labels.";

	(void)state;
	memset(text + strlen(text), 'k', 600);
	strcat(text, ": [x]}}\n");
	memset(says + strlen(says), 'k', 92);
	strcat(says, "...: want text, not a list");
	kit_config_says(text, says);
}

/* ---- conf.d ------------------------------------------------------------------------------------------------- */

static char dir[64];

static void put_file(const char *name, const char *text)
{
	char path[160];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int make_dir(void **state)
{
	char path[96];

	(void)state;
	strcpy(dir, "/tmp/weft-test-config-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/conf.d", dir);
	return mkdir(path, 0755);
}

static int drop_dir(void **state)
{
	char command[96];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static struct config *load(const char *says)
{
	struct conf_errors errors = { 0 };
	struct config *c;
	char path[96], want[1024], *words;
	int err;

	snprintf(path, sizeof(path), "%s/weft.yaml", dir);
	err = config_load(path, kit_choices, &c, &errors);
	words = kit_words(&errors);
	snprintf(want, sizeof(want), says, dir, dir);
	assert_string_equal(words, want);
	assert_true(!err == !*says);
	free(words);
	conf_errors_fini(&errors);
	return c;
}

static void conf_d_goes_over_the_main_file_by_name(void **state)
{
	const struct config_registry *r;
	const struct host *h;
	struct config *c;
	size_t hosts = 0;

	(void)state;
	put_file("weft.yaml", "workers: 2\n"
			      "kernel: {mode: off, maps: {services: 100}}\n"
			      "registries:\n"
			      "- {name: a, type: file, path: /a, burst: 3}\n"
			      "- {name: b, type: file, path: /b}\n"
			      "clusters:\n"
			      "- {name: web, loadBalancer: maglev, endpoints: [{address: \"10.0.0.1:1\"}]}\n");
	put_file("conf.d/20-second.yaml", "workers: 4\nregistries:\n- {name: c, type: file, path: /c}\n");
	put_file("conf.d/10-first.yaml", "workers: 3\n"
					 "kernel: {maps: {services: 200}}\n"
					 "registries:\n- {name: a, path: /other}\n"
					 "clusters:\n"
					 "- name: web\n"
					 "  endpoints: [{address: \"10.0.0.2:1\"}, {address: \"10.0.0.3:1\"}]\n");
	put_file("conf.d/.hidden.yaml", "nonsense: 1\n");
	put_file("conf.d/words.txt", "nonsense: 1\n");
	put_file("conf.d/empty.yaml", "");
	c = load("");
	assert_non_null(c);
	r = c->registries.v;
	assert_int_equal(c->workers, 4);
	assert_int_equal(c->kernel.mode, CONFIG_KERNEL_OFF);
	assert_int_equal(c->kernel.maps.services, 200);
	assert_int_equal(c->registries.n, 3);
	assert_string_equal(((const struct kit_registry *)r[0].type.conf)->path.p, "/other");
	assert_int_equal(((const struct kit_registry *)r[0].type.conf)->burst, 3);
	assert_string_equal(r[2].name.p, "c");
	for (size_t i = 0; i < c->nfacts; i++) {
		struct fact_mark m = fact_mark(c->facts[i]);
		char want[96];

		if (c->facts[i]->kind == FACT_CLUSTER)
			assert_int_equal(((struct cluster_fact *)c->facts[i])->lb, LB_POLICY_MAGLEV);
		if (c->facts[i]->kind != FACT_HOST)
			continue;
		hosts++;
		h = (const struct host *)c->facts[i];
		assert_int_not_equal(h->ip.b[15], 1);
		snprintf(want, sizeof(want), "%s/conf.d/10-first.yaml", dir);
		assert_true(slice_eq_str(m.file, want));
		assert_int_equal(m.line, 7);
	}
	assert_int_equal(hosts, 2);
	config_free(c);
}

static void errors_name_the_file_of_conf_d(void **state)
{
	(void)state;
	put_file("weft.yaml", "registries:\n- {name: a, type: file, path: /a}\n");
	put_file("conf.d/x.yaml", "\nregistries:\n- {name: b, type: file}\n- {name: c, type: file, path: /c, bursts: 1}\n");
	assert_null(load("%s/conf.d/x.yaml:3: registries[1]: path is missing\n"
			 "%s/conf.d/x.yaml:4: registries[2].bursts: no such field, did you mean burst?"));
	put_file("conf.d/x.yaml", "registries:\n- {name: b, type: file, path: /b}\n- {name: b, type: file, path: /c}\n");
	assert_null(load("%s/conf.d/x.yaml:3: registries[2].name: b is given twice, first in %s/conf.d/x.yaml:2"));
	put_file("conf.d/x.yaml", "workers: [\n");
	assert_null(load("%s/conf.d/x.yaml:2: not YAML: did not find expected node content, while parsing a flow node"));
	put_file("conf.d/x.yaml", "workers: 70\n");
	assert_null(load("%s/conf.d/x.yaml:1: workers: 70 is out of range, want auto or a whole number from 1 to 64"));
}

static void a_missing_main_file_is_an_error(void **state)
{
	(void)state;
	assert_null(load("cannot open %s/weft.yaml: No such file or directory"));
	put_file("weft.yaml", "");
	config_free(load(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_given_is_all_defaults),
		cmocka_unit_test(everything_given_is_kept),
		cmocka_unit_test(what_is_wrong_is_said),
		cmocka_unit_test(errors_stop_at_a_bound),
		cmocka_unit_test(long_paths_are_cut),
		cmocka_unit_test_setup_teardown(conf_d_goes_over_the_main_file_by_name, make_dir, drop_dir),
		cmocka_unit_test_setup_teardown(errors_name_the_file_of_conf_d, make_dir, drop_dir),
		cmocka_unit_test_setup_teardown(a_missing_main_file_is_an_error, make_dir, drop_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
