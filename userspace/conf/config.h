/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration of one weftd: /etc/weft/weft.yaml and the conf.d folder beside it, merged by
 * name, as plain structs. A struct config is const once loaded; a reload makes a new one, and the
 * old one stays as it is until it is freed. Control thread only (its facts).
 */
#pragma once
#include "weft/conf.h"
#include "weft/log.h"

#define CONFIG_PATH "/etc/weft/weft.yaml"
#define CONFIG_REGISTRY "config"                /* name of the registry that the facts of the file itself belong to */

enum config_switch { CONFIG_AUTO, CONFIG_TRUE, CONFIG_FALSE };
enum config_kernel_mode { CONFIG_KERNEL_AUTO, CONFIG_KERNEL_REQUIRED, CONFIG_KERNEL_OFF };

struct config_node {
	struct slice name;                      /* never empty: the host's name when none is given */
	struct config_locality {
		struct slice region, zone;      /* empty = unknown */
	} locality;
	struct pair_list labels;
};

struct config_admin {
	struct conf_address address;            /* loopback */
	struct slice socket;                    /* absolute path */
};

struct config_short_circuit {
	enum config_switch enabled;
	uint64_t max_outstanding;               /* bytes per direction */
	bool assume_no_splice;
	bool unmanaged;                         /* also between processes of no declared workload */
	uint64_t keepalive_ns;                  /* whole seconds; 0 = left alone */
};

struct config_maps {                            /* entries */
	uint32_t frontends, services, backends, slots, sockets, affinity, workloads;
};

struct config_kernel {
	enum config_kernel_mode mode;
	struct slice cgroup;                    /* "auto", or a path */
	bool connect;
	struct config_short_circuit short_circuit;
	struct config_maps maps;
};

struct config_registry {
	uint32_t line;
	struct slice name;
	struct conf_chosen type;                /* choice->ops is the struct registry_ops, conf its settings */
};

struct config_plugin {
	uint32_t line;
	struct slice path;                      /* absolute */
};

enum config_spin { CONFIG_SPIN_OFF, CONFIG_SPIN_ADAPTIVE };

enum config_log_format { CONFIG_LOG_TEXT, CONFIG_LOG_JSON };

struct config_access_log {
	struct slice path;                      /* absolute */
	enum config_log_format format;
};

struct config {
	struct arena *arena;                    /* everything below but the facts */
	struct config_node node;
	uint32_t workers;                       /* 0 = auto: one per CPU */
	struct config_admin admin;
	struct config_kernel kernel;
	struct conf_list registries;            /* of struct config_registry */
	struct conf_list plugins;               /* of struct config_plugin; loaded at the start alone */
	struct config_telemetry {
		struct conf_list access_log;    /* of struct config_access_log */
	} telemetry;
	struct config_proxy {
		uint8_t spin;                   /* enum config_spin */
		uint32_t namespaces;            /* network namespaces of workloads in which it listens */
		uint64_t drain_ns;
	} proxy;
	struct config_overload {
		uint64_t memory;                /* bytes; 0 = no limit, as connections */
		uint32_t connections, descriptors; /* descriptors 0: the process's own */
		uint32_t soft, hard;            /* percent */
	} overload;
	struct config_logging {
		enum log_level level;
	} logging;
	struct fact **facts;                    /* node, clusters, hosts, routes, listeners, services, workloads; ours */
	size_t nfacts;
};

/*
 * Reads path and conf.d beside it. choices: the registry types there are, ended by a NULL name; the
 * configuration points to them. 0: *out is the new configuration. -errno: said in errors, *out is
 * NULL.
 */
int config_load(const char *path, const struct conf_choice *choices, struct config **out, struct conf_errors *errors);
/* The same from one text (tests, fuzzing); conf.d is not looked for. */
int config_load_text(struct slice text, const char *name, const struct conf_choice *choices, struct config **out,
		     struct conf_errors *errors);
/*
 * Only the plugins that the files name, each given to load, in order: before config_load(), because they bring words of
 * the rest. 0, or -EINVAL: load's words are in errors, behind the place of the path. What else is wrong with the files
 * config_load() is left to say.
 */
int config_load_plugins(const char *path, int (*load)(const char *plugin, struct err *e), struct conf_errors *errors);
void config_drop_facts(struct config *c);       /* the rest stays */
void config_free(struct config *c);             /* NULL is allowed */

/* Rows of the whole file: what is accepted, and docs/configuration.md. */
extern const struct conf_item config_rows[];
extern const struct conf_item config_plugins_rows[]; /* of `plugins` alone */
