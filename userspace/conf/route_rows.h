/* SPDX-License-Identifier: Apache-2.0 */
/* Routes as a file writes them: what struct route (model.h) is made of. */
#pragma once
#include "weft/conf.h"

struct route_text {
	uint8_t type;                           /* place in the row's names: text_types, path_types, rpc_types */
	struct slice name, value;
	int64_t low, high;
};

struct route_matches {
	struct route_text path, service, rpc_method;
	struct slice method;
	struct conf_list headers, params, cookies; /* of struct route_text */
	struct conf_list identities;            /* of struct slice */
};

struct route_to {                               /* backends[] */
	struct slice cluster;
	uint32_t weight;
	struct pair_list subset;
};

struct route_header {
	struct slice name, value;
};

struct route_headers {                          /* RequestHeaderModifier, ResponseHeaderModifier */
	struct conf_list set, add;              /* of struct route_header */
	struct conf_list remove;                /* of struct slice */
};

struct route_path {                             /* URLRewrite, RequestRedirect */
	uint32_t line;                          /* 0: not given */
	uint8_t type;                           /* enum path_change, less one */
	struct slice value, pattern;
};

struct route_rewrite {
	struct slice hostname;
	struct route_path path;
};

struct route_redirect {
	uint8_t scheme;                         /* place in redirect_schemes */
	struct slice hostname;
	struct route_path path;
	uint16_t port, status;
};

struct route_direct {
	uint16_t status;
	struct slice body;
};

struct route_filter {
	struct conf_chosen type;
};

enum route_filter_kind {
	FILTER_REQUEST_HEADERS, FILTER_RESPONSE_HEADERS, FILTER_REWRITE, FILTER_REDIRECT, FILTER_DIRECT,
	FILTER_EXTENSIONS                       /* this and all behind it: filters of filter.h */
};
enum route_filter_kind route_filter_kind(const struct route_filter *f);
extern struct conf_choice route_filter_choices[]; /* from FILTER_EXTENSIONS on extension_rows.c's */

struct route_retry {
	uint32_t attempts;
	struct conf_list on;                    /* of uint8_t, enum retry_on */
	struct conf_list codes;                 /* of struct slice: "503", "500-599" */
	struct conf_list grpc;                  /* of uint8_t: enum retry_on, from RETRY_ON_CANCELLED on */
	uint64_t backoff_ns, max_backoff_ns;
	struct route_budget {
		uint32_t percent, min_per_second;
	} budget;
};

struct route_hash {
	struct slice header, param;
	struct route_cookie {
		struct slice name, path;
		uint64_t ttl_ns;
		uint8_t lifetime;               /* 1: Session */
		uint8_t secure, same_site;      /* enum cookie_secure, enum same_site */
		bool http_only;
	} cookie;
	bool source_ip, terminal;
};

/* What a request with JSON calls. line 0: it was not given. */
struct route_call {
	uint32_t line;
	struct slice service, version, group, method;
	struct conf_list arguments;             /* of struct route_argument */
	uint64_t body_bytes;
};

struct route_argument {
	struct slice name, type;
};

struct route_conf_rule {
	struct conf_list matches;               /* of struct route_matches */
	struct conf_list filters;               /* of struct route_filter */
	struct conf_list backends;              /* of struct route_to */
	struct route_timeouts {
		uint64_t request_ns, backend_ns, idle_ns;
	} timeouts;
	struct route_retry retry;
	struct conf_list hash;                  /* of struct route_hash */
	struct conf_list upgrades;              /* of uint8_t: bit number */
	struct route_call rpc;
};

struct route_conf {
	struct slice name;
	struct conf_list hosts;                 /* of struct slice */
	struct conf_list rules;                 /* of struct route_conf_rule */
};

extern const struct conf_item fact_route_rows[];
extern const struct conf_item route_inline_rows[]; /* in a listener: without a name */
extern const struct conf_item route_backend_rows[]; /* struct route_to */
extern const char *const redirect_schemes[];

/* enum text_match_type by place: of headers, parameters and cookies; of path; of service and rpcMethod. */
extern const uint8_t text_types[], path_types[], rpc_types[];

/* "200-299" or "503"; 0 or -EINVAL. */
int status_range_parse(struct slice text, struct status_range *out);
int check_status_range(const void *value, struct err *e); /* of a row: a struct slice */
