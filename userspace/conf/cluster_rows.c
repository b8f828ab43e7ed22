/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/cluster_rows.h"

#include <errno.h>
#include <stdio.h>
#include "base/extensions.h"
#include "base/http_name.h"
#include "base/protocols.h"
#include "conf/fact_rows.h"
#include "conf/route_rows.h"
#include "weft/str.h"

/* Secrets are named by their paths, with a "|" between two. */
int check_secret_path(const void *value, struct err *e)
{
	const struct slice *s = value;

	if (!s->n || s->p[0] != '/' || memchr(s->p, '|', s->n))
		return err_add(e, -EINVAL, "want a path that begins with /, without \"|\"");
	return 0;
}

static int check_health_path(const void *value, struct err *e)
{
	return http_is_path(*(const struct slice *)value) ? 0 : err_add(e, -EINVAL, "want a path that begins with /, without spaces");
}

static int check_subsets(const void *value, struct err *e)
{
	const struct cluster_subsets *s = value;
	const struct conf_list *keys = s->keys.v;

	for (size_t i = 0; i < s->keys.n; i++) {
		if (!keys[i].n)
			return err_add(e, -EINVAL, "keys: want at least one name in each list");
	}
	if (s->fallback == SUBSET_DEFAULT && !s->dflt.n)
		return err_add(e, -EINVAL, "default: fallback default wants one");
	return 0;
}

static int check_discovery(const void *value, struct err *e)
{
	const struct cluster_discovery *d = value;
	bool registry = d->type == DISCOVERY_REGISTRY || (d->type == DISCOVERY_AUTO && (d->registry.n || d->service.n));

	if (registry && (!d->registry.n || !d->service.n || d->host.n))
		return err_add(e, -EINVAL, "want registry and service, and no host");
	if (!registry && (!d->host.n || !d->port || d->registry.n || d->service.n))
		return err_add(e, -EINVAL, "want host and port, or registry and service");
	return 0;
}

static int check_tls(const void *value, struct err *e)
{
	const struct cluster_tls_conf *t = value;

	if (t->certificates.n > 1)
		return err_add(e, -EINVAL, "certificates: want at most one");
	if (t->insecure && (t->ca.n || t->verify.sans.n))
		return err_add(e, -EINVAL, "insecure verifies nothing: want it without trustedCA and verify");
	return 0;
}

static int check_protocol(const void *value, struct err *e)
{
	struct slice name = *(const struct slice *)value;

	if (slice_eq_str(name, "auto") || slice_eq_str(name, "http") || slice_eq_str(name, "http2") || protocol_rpc(name))
		return 0;
	return protocol_unknown(name, "auto, http, http2", e);
}

static const char *const prefer_names[] = { "any", "region", "zone", NULL };
static const char *const state_names[] = { "ready", "draining", NULL };
/* enum discovery_type */
static const char *const discovery_names[] = { "auto", "dns", "registry", NULL };
static const char *const fallback_names[] = { "none", "any", "default", NULL };
static const char *const health_names[] = { "none", "tcp", "http", "grpc", "heartbeat", NULL };
static const char *const health_tls_names[] = { "auto", "true", "false", NULL }; /* enum health_tls */

#define DURATION_FROM_1MS .min = 1000000, .max = CONF_HOURS_MAX

static const struct conf_item locality_rows[] = {
	CONF_ITEM(struct cluster_locality, region, "region", STRING, .max = NAME_MAX_BYTES, .help = "empty: unknown"),
	CONF_ITEM(struct cluster_locality, zone, "zone", STRING, .max = NAME_MAX_BYTES, .help = "empty: unknown"),
	CONF_END
};

static const struct conf_item endpoint_rows[] = {
	CONF_ITEM(struct cluster_endpoint, address, "address", ADDRESS, .required = true,
		  .help = "where it listens; without a port, that of the service's `target` or `port`"),
	CONF_ITEM(struct cluster_endpoint, weight, "weight", INT, .max = WEIGHT_MAX, .dflt = "1",
		  .help = "share of new connections relative to the others; 0 takes none"),
	CONF_ITEM(struct cluster_endpoint, priority, "priority", INT, .max = PRIORITY_MAX, .dflt = "0",
		  .help = "the lowest number that has a usable endpoint is used"),
	CONF_ITEM(struct cluster_endpoint, state, "state", ENUM, .names = state_names, .dflt = "ready",
		  .help = "draining: keeps its connections, takes no new ones"),
	CONF_ITEM(struct cluster_endpoint, locality, "locality", STRUCT, .rows = locality_rows, .help = "where it runs"),
	CONF_ITEM(struct cluster_endpoint, metadata, "metadata", MAP, .help = "labels, which subsets go by"),
	CONF_END
};

static const struct conf_item prefer_rows[] = {
	CONF_ITEM(struct cluster_prefer, prefer, "prefer", ENUM, .names = prefer_names, .dflt = "any",
		  .help = "endpoints of this node's region or zone are used while one is there"),
	CONF_END
};

enum lb_policy cluster_policy(struct slice balancer)
{
	int i = 0;

	while (i < LB_POLICY_EXTENSION && !slice_eq_str(balancer, lb_policy_names[i]))
		i++;
	return i;
}

static int check_balancer(const void *value, struct err *e)
{
	const struct slice *name = value;
	char own[160] = "";

	if (cluster_policy(*name) != LB_POLICY_EXTENSION || extension_find(EXTENSION_lb, *name))
		return 0;
	for (int i = 0; i < LB_POLICY_EXTENSION; i++) {
		size_t n = strlen(own);

		snprintf(own + n, sizeof(own) - n, "%s%s", i ? ", " : "", lb_policy_names[i]);
	}
	return extension_unknown(EXTENSION_lb, *name, own, e);
}

static const struct conf_item discovery_rows[] = {
	CONF_LINE_ITEM(struct cluster_discovery, line),
	CONF_ITEM(struct cluster_discovery, type, "type", ENUM, .names = discovery_names, .dflt = "auto",
		  .help = "dns: the addresses of a host name; registry: the endpoints of a registry's service; auto: what is given"),
	CONF_ITEM(struct cluster_discovery, host, "host", STRING, .max = NAME_MAX_BYTES, .help = "dns: the name"),
	CONF_ITEM(struct cluster_discovery, registry, "registry", STRING, .max = NAME_MAX_BYTES,
		  .help = "registry: its name, one of `registries`"),
	CONF_ITEM(struct cluster_discovery, service, "service", STRING, .max = NAME_MAX_BYTES,
		  .help = "registry: the service's name there"),
	CONF_ITEM(struct cluster_discovery, port, "port", INT, .min = 1, .max = 65535,
		  .help = "dns: of each address, must be given; registry: of the service, none: the only one it has"),
	CONF_END
};

static const struct conf_item key_list[] = {
	{ .name = "keys", .type = CONF_LIST, .of = CONF_STRING, .of_size = sizeof(struct slice), .max = NAME_MAX_BYTES },
	CONF_END
};

static const struct conf_item subsets_rows[] = {
	CONF_ITEM(struct cluster_subsets, keys, "keys", LIST, .of = CONF_LIST, .of_size = sizeof(struct conf_list),
		  .rows = key_list, .help = "names of metadata by which a backend's `subset` may choose endpoints"),
	CONF_ITEM(struct cluster_subsets, fallback, "fallback", ENUM, .names = fallback_names, .dflt = "none",
		  .help = "when no endpoint is in the subset: none fails the request, any takes all endpoints, default that subset"),
	CONF_ITEM(struct cluster_subsets, dflt, "default", MAP, .help = "metadata of the subset that fallback default means"),
	CONF_END
};

static const struct conf_item pool_rows[] = {
	CONF_ITEM(struct cluster_pool, max_connections, "maxConnections", INT, .dflt = "1024", .help = "per node; 0: no limit"),
	CONF_ITEM(struct cluster_pool, max_pending, "maxPending", INT, .dflt = "1024",
		  .help = "requests that wait for a connection, per node; 0: no limit"),
	CONF_ITEM(struct cluster_pool, max_requests, "maxRequests", INT, .dflt = "1024", .help = "at a time, per node; 0: no limit"),
	CONF_ITEM(struct cluster_pool, max_retries, "maxRetries", INT, .dflt = "3",
		  .help = "at a time, per node, beside the route's budget; 0: no limit"),
	CONF_ITEM(struct cluster_pool, max_requests_per_connection, "maxRequestsPerConnection", INT, .dflt = "0",
		  .help = "then it is closed; 0: no limit"),
	CONF_ITEM(struct cluster_pool, idle_ns, "idleTimeout", DURATION, .max = CONF_HOURS_MAX, .dflt = "60s",
		  .help = "an idle connection is closed after it, or earlier if its host said so (Keep-Alive); 60s at most; 0s: 60s"),
	CONF_ITEM(struct cluster_pool, http2_max_streams, "http2MaxStreams", INT, .min = 1, .max = 1 << 20, .dflt = "100",
		  .help = "requests at a time on one HTTP/2 connection; the endpoint may allow less"),
	CONF_ITEM(struct cluster_pool, ping_ns, "pingInterval", DURATION, .max = CONF_HOURS_MAX, .dflt = "10s",
		  .help = "an HTTP/2 or RPC connection that owes answers and says nothing for so long is asked whether it lives, "
			  "HTTP/2 again after 5 minutes; bolt also while it is idle; 0s: never"),
	CONF_ITEM(struct cluster_pool, ping_timeout_ns, "pingTimeout", DURATION, DURATION_FROM_1MS, .dflt = "20s",
		  .help = "and is closed when it does not answer by then"),
	CONF_END
};

static const struct conf_item health_rows[] = {
	CONF_LINE_ITEM(struct cluster_health, line),
	CONF_ITEM(struct cluster_health, type, "type", ENUM, .names = health_names, .required = true,
		  .help = "tcp: it takes a connection, with TLS also the handshake succeeds; http: it answers as expected, over "
			  "HTTP/2 with `protocol` http2 and no `port`; "
			  "grpc: grpc.health.v1.Health says SERVING, over HTTP/2; heartbeat: that of the cluster's `protocol`, such as "
			  "bolt or dubbo, is answered"),
	CONF_ITEM(struct cluster_health, tls, "tls", ENUM, .names = health_tls_names, .dflt = "auto",
		  .help = "whether checks speak TLS, with the cluster's settings; auto: as the cluster, but not to a `port` of their own"),
	CONF_ITEM(struct cluster_health, path, "path", STRING, .max = 8192, .dflt = "/", .check = check_health_path,
		  .help = "http: what is asked for"),
	CONF_ITEM(struct cluster_health, host, "host", STRING, .max = NAME_MAX_BYTES,
		  .help = "http: the Host header; grpc: the authority; TLS without `tls.sni`: the server's name; none: the cluster's name"),
	CONF_ITEM(struct cluster_health, service, "service", STRING, .max = HEALTH_SERVICE_MAX,
		  .help = "grpc: what is asked for, such as shop.Orders; none: the whole endpoint"),
	CONF_ITEM(struct cluster_health, port, "port", INT, .min = 1, .max = 65535, .help = "none: each endpoint's own"),
	CONF_ITEM(struct cluster_health, interval_ns, "interval", DURATION, DURATION_FROM_1MS, .dflt = "10s",
		  .help = "between two checks of an endpoint"),
	CONF_ITEM(struct cluster_health, timeout_ns, "timeout", DURATION, DURATION_FROM_1MS, .dflt = "1s", .help = "of one check"),
	CONF_ITEM(struct cluster_health, unhealthy, "unhealthyThreshold", INT, .min = 1, .max = 1000, .dflt = "3",
		  .help = "failed checks in a row that take it out"),
	CONF_ITEM(struct cluster_health, healthy, "healthyThreshold", INT, .min = 1, .max = 1000, .dflt = "2",
		  .help = "good checks in a row that take it in again"),
	CONF_ITEMS(struct cluster_health, expect, "expect", STRING, struct slice, .check = check_status_range,
		   .help = "http: statuses such as 200 or 200-299; none: 200"),
	CONF_END
};

static const struct conf_item outlier_rows[] = {
	CONF_LINE_ITEM(struct cluster_outlier, line),
	CONF_ITEM(struct cluster_outlier, consecutive_5xx, "consecutive5xx", INT, .dflt = "5",
		  .help = "5xx answers or failures in a row that eject an endpoint; 0: off"),
	CONF_ITEM(struct cluster_outlier, consecutive_gateway, "consecutiveGateway", INT, .dflt = "0",
		  .help = "the same for 502, 503, 504 and failures; 0: off"),
	CONF_ITEM(struct cluster_outlier, consecutive_local, "consecutiveLocal", INT, .dflt = "5",
		  .help = "the same for failures to connect, resets and timeouts; 0: off"),
	CONF_ITEM(struct cluster_outlier, interval_ns, "interval", DURATION, DURATION_FROM_1MS, .dflt = "10s",
		  .help = "between two looks at percentages and ejected endpoints"),
	CONF_ITEM(struct cluster_outlier, base_ns, "baseEjection", DURATION, DURATION_FROM_1MS, .dflt = "30s",
		  .help = "times how often it was ejected: how long"),
	CONF_ITEM(struct cluster_outlier, max_ns, "maxEjection", DURATION, DURATION_FROM_1MS, .dflt = "300s",
		  .help = "the longest ejection"),
	CONF_ITEM(struct cluster_outlier, max_percent, "maxEjectionPercent", INT, .max = 100, .dflt = "10",
		  .help = "of the endpoints that may be out at a time; one always may"),
	CONF_ITEM(struct cluster_outlier, failure_percentage, "failurePercentage", INT, .max = 100, .dflt = "0",
		  .help = "of an endpoint's requests in an interval that eject it; 0: off"),
	CONF_ITEM(struct cluster_outlier, failure_min_hosts, "failureMinHosts", INT, .dflt = "5",
		  .help = "fewer endpoints than this: percentages are not looked at"),
	CONF_ITEM(struct cluster_outlier, failure_min_requests, "failureMinRequests", INT, .dflt = "50",
		  .help = "fewer requests in the interval than this: the endpoint is not looked at"),
	CONF_END
};

static const struct conf_item slow_start_rows[] = {
	CONF_ITEM(struct cluster_slow_start, window_ns, "window", DURATION, .max = CONF_HOURS_MAX, .dflt = "0s",
		  .help = "in which a new endpoint's share grows from a tenth to the whole; 0s: at once"),
	CONF_END
};

const struct conf_item certificate_rows[] = {
	CONF_ITEM(struct cluster_certificate, cert, "cert", STRING, .required = true, .max = 250, .check = check_secret_path,
		  .help = "file with the chain, PEM, leaf first; changes are seen by themselves"),
	CONF_ITEM(struct cluster_certificate, key, "key", STRING, .required = true, .max = 250, .check = check_secret_path,
		  .help = "file with its private key, PEM"),
	CONF_END
};

static const struct conf_item verify_rows[] = {
	CONF_ITEMS(struct cluster_verify, sans, "san", STRING, struct slice,
		   .help = "one of these DNS names or URIs must be in the certificate; none: `sni`, or the request's host"),
	CONF_END
};

const char *const tls_kernel_names[] = { "off", "auto", NULL };

static const struct conf_item tls_rows[] = {
	CONF_LINE_ITEM(struct cluster_tls_conf, line),
	CONF_ITEM(struct cluster_tls_conf, sni, "sni", STRING, .max = NAME_MAX_BYTES, .help = "none: the request's host name"),
	CONF_ITEM(struct cluster_tls_conf, ca, "trustedCA", STRING, .max = 500, .check = check_secret_path,
		  .help = "file with the certificates of CAs, PEM; none: the system's"),
	CONF_ITEMS(struct cluster_tls_conf, certificates, "certificates", STRUCT, struct cluster_certificate,
		   .rows = certificate_rows, .help = "at most one, that endpoints may ask for"),
	CONF_ITEM(struct cluster_tls_conf, insecure, "insecure", BOOL, .dflt = "false", .help = "true: nothing is verified"),
	CONF_ITEM(struct cluster_tls_conf, kernel, "kernel", ENUM, .names = tls_kernel_names, .dflt = "off",
		  .help = "auto: the kernel makes the records where it can (kTLS), so that large bodies pass by the proxy"),
	CONF_ITEMS(struct cluster_tls_conf, alpn, "alpn", STRING, struct slice, .min = 1, .max = 255,
		   .help = "protocols that are offered; none: h2 with `protocol` http2, else nothing is, which is HTTP/1.1"),
	CONF_ITEM(struct cluster_tls_conf, verify, "verify", STRUCT, .rows = verify_rows, .help = "what the endpoint must be"),
	CONF_END
};

const struct conf_item fact_cluster_rows[] = {
	CONF_ITEM(struct cluster_conf, name, "name", STRING, .required = true, .max = NAME_MAX_BYTES,
		  .check = check_fact_name, .help = "unique over all registries"),
	CONF_ITEM(struct cluster_conf, protocol, "protocol", STRING, .max = NAME_MAX_BYTES, .check = check_protocol, .dflt = "auto",
		  .help = "what its endpoints speak; http2: from the first byte on, or by TLS and ALPN; http: HTTP/1.1, or HTTP/2 "
			  "where `tls.alpn` offers h2 and the endpoint takes it; bolt, dubbo or another RPC protocol; auto: what the "
			  "client speaks of RPC, else as http"),
	{ .name = "protocolSettings", .type = CONF_STRUCT, .help = "what `protocol` declares, if that is one of RPC" },
	CONF_ITEM(struct cluster_conf, balancer, "loadBalancer", STRING, .max = NAME_MAX_BYTES, .check = check_balancer,
		  .dflt = "least-request",
		  .help = "least-request: the less busy of two drawn at random; round-robin; random; maglev; ring-hash and peak-ewma are "
			  "the proxy's, the kernel uses maglev and least-request instead; original-destination: where the client "
			  "wanted to go; or one that a plugin brings, for which the kernel uses least-request"),
	{ .name = "loadBalancerSettings", .type = CONF_STRUCT, .help = "of a plugin's balancer: what it declares" },
	CONF_ITEM(struct cluster_conf, locality, "locality", STRUCT, .rows = prefer_rows, .help = "nearby endpoints first"),
	CONF_ITEMS(struct cluster_conf, endpoints, "endpoints", STRUCT, struct cluster_endpoint, .rows = endpoint_rows,
		   .help = "who serves it; none: connections are refused"),
	CONF_ITEM(struct cluster_conf, discovery, "discovery", STRUCT, .rows = discovery_rows, .check = check_discovery,
		  .help = "where its endpoints come from; those of a registry's service may be beside `endpoints`"),
	CONF_ITEM(struct cluster_conf, subsets, "subsets", STRUCT, .rows = subsets_rows, .check = check_subsets,
		  .help = "parts of it that routes may choose"),
	CONF_ITEM(struct cluster_conf, connect_ns, "connectTimeout", DURATION, DURATION_FROM_1MS, .dflt = "1s",
		  .help = "for TCP and TLS together"),
	CONF_ITEM(struct cluster_conf, pool, "connectionPool", STRUCT, .rows = pool_rows, .help = "limits"),
	CONF_ITEM(struct cluster_conf, health, "healthCheck", STRUCT, .rows = health_rows, .help = "asking each endpoint, once per node"),
	CONF_ITEM(struct cluster_conf, outlier, "outlierDetection", STRUCT, .rows = outlier_rows,
		  .help = "leaving out endpoints that fail"),
	CONF_ITEM(struct cluster_conf, panic_percent, "panicThreshold", INT, .max = 100, .dflt = "50",
		  .help = "fewer usable endpoints than this percentage: all are used; 0: never"),
	CONF_ITEM(struct cluster_conf, slow_start, "slowStart", STRUCT, .rows = slow_start_rows, .help = "for new endpoints"),
	CONF_ITEM(struct cluster_conf, ring_size, "ringSize", INT, .min = 1, .max = RING_SIZE_MAX, .dflt = "1024",
		  .help = "ring-hash: least number of points"),
	CONF_ITEM(struct cluster_conf, proxy_protocol, "proxyProtocol", BOOL, .dflt = "false",
		  .help = "true: a PROXY protocol header, version 2, opens each connection"),
	CONF_ITEM(struct cluster_conf, tls, "tls", STRUCT, .rows = tls_rows, .check = check_tls, .help = "given: its endpoints speak TLS"),
	CONF_END
};
