/* SPDX-License-Identifier: Apache-2.0 */
/* Listeners as a file writes them: what struct listener (model.h) is made of. */
#pragma once
#include "conf/cluster_rows.h"
#include "conf/route_rows.h"

struct listener_tls_conf {
	uint32_t line;                          /* 0: not given */
	uint8_t mode;                           /* enum tls_mode, less one */
	struct conf_list certificates;          /* of struct cluster_certificate */
	struct slice client_ca;
	bool require_client;
	struct conf_list sans, alpn;            /* of struct slice */
	uint8_t min_version;                    /* 0: TLS 1.2, 1: TLS 1.3 */
	uint8_t kernel;                         /* place in tls_kernel_names */
};

struct listener_rule {
	struct conf_list sources, destinations; /* of struct slice: CIDRs */
	uint16_t port;
	struct conf_list snis;                  /* of struct slice */
	struct conf_list backends;              /* of struct route_to */
};

struct listener_conf {
	struct slice name;
	struct conf_address address;
	struct slice protocol;
	struct conf_list detect;                /* of struct slice */
	uint8_t capture;                        /* enum capture */
	struct conf_list destinations;          /* of struct slice: CIDRs */
	struct conf_list ports;                 /* of uint16_t */
	uint8_t fail;                           /* enum fail_mode */
	struct listener_tls_conf tls;
	struct conf_list net_filters, filters;  /* of struct listener_filter */
	struct conf_list trusted;               /* of struct slice: CIDRs */
	struct conf_list rules;                 /* of struct listener_rule */
	uint8_t xff;                            /* enum xff_mode */
	uint8_t forwarded;                      /* place in its names */
	bool merge_slashes, request_id, grpc_web;
	uint8_t escaped_slashes;                /* 1: refused */
	struct listener_timeouts {
		uint64_t idle_ns, head_ns, age_ns, grace_ns;
	} timeouts;
	struct listener_limits {
		uint64_t head_bytes, target_bytes;
		uint32_t headers, connections, connection_requests;
	} limits;
};

/* What a listener's protocol is to its other settings. RPC: of base/protocols.h; AUTO: whatever a connection begins with. */
enum listener_kind { LISTENER_HTTP, LISTENER_HTTP_PROXY, LISTENER_TCP, LISTENER_UDP, LISTENER_RPC, LISTENER_AUTO };
enum listener_kind listener_kind(struct slice protocol);

extern const struct conf_item fact_listener_rows[];

/* "10.0.0.0/8", "2001:db8::/32", "10.0.0.1"; what is behind the length is zeroed. 0 or -EINVAL. */
int ip_block_parse(struct slice text, struct ip_block *out);
