/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/listener_rows.h"

#include <errno.h>
#include "base/http_name.h"
#include "base/num.h"
#include "base/protocols.h"
#include "conf/extension_rows.h"
#include "conf/fact_rows.h"
#include "weft/str.h"

/* ---- what rows cannot say ------------------------------------------------------------------------------------- */

int ip_block_parse(struct slice text, struct ip_block *out)
{
	const char *slash = text.n ? memchr(text.p, '/', text.n) : NULL;
	struct slice host = { text.p, slash ? (size_t)(slash - text.p) : text.n };
	bool v4 = host.n && !memchr(host.p, ':', host.n);
	uint64_t bits = v4 ? 32 : 128;
	struct ip ip;

	if (ip_parse(host, &ip))
		return -EINVAL;
	if (slash && (num_u64((struct slice){ slash + 1, text.n - host.n - 1 }, &bits) || bits > (v4 ? 32 : 128)))
		return -EINVAL;
	bits += v4 ? 96 : 0;
	*out = (struct ip_block){ ip, (uint8_t)bits };
	ip_block_mask(out);
	return 0;
}

static int check_block(const void *value, struct err *e)
{
	struct ip_block block;

	if (ip_block_parse(*(const struct slice *)value, &block))
		return err_add(e, -EINVAL, "want an address or a block such as 10.0.0.0/8 or 2001:db8::/32");
	return 0;
}

static int check_sni(const void *value, struct err *e)
{
	if (!http_is_server_name(*(const struct slice *)value))
		return err_add(e, -EINVAL, "want a name such as a.example or *.example");
	return 0;
}

static const char *const kinds[] = {
	[LISTENER_HTTP] = "http", [LISTENER_HTTP_PROXY] = "http-proxy", [LISTENER_TCP] = "tcp", [LISTENER_UDP] = "udp",
	[LISTENER_AUTO] = "auto",
};

enum listener_kind listener_kind(struct slice protocol)
{
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i] && slice_eq_str(protocol, kinds[i]))
			return i;
	return LISTENER_RPC;
}

static int check_protocol(const void *value, struct err *e)
{
	struct slice name = *(const struct slice *)value;

	if (listener_kind(name) != LISTENER_RPC || protocol_rpc(name))
		return 0;
	return protocol_unknown(name, "http, http-proxy, tcp, udp, auto", e);
}

static int check_detect(const void *value, struct err *e)
{
	struct slice name = *(const struct slice *)value;

	return slice_eq_str(name, "http") || protocol_rpc(name) ? 0 : protocol_unknown(name, "http", e);
}

static int check_stream_rule(const void *value, struct err *e)
{
	return ((const struct listener_rule *)value)->backends.n ? 0 : err_add(e, -EINVAL, "backends: want at least one");
}

static int check_tls(const void *value, struct err *e)
{
	const struct listener_tls_conf *t = value;

	if (!t->certificates.n)
		return err_add(e, -EINVAL, "certificates: want at least one");
	if (!t->client_ca.n && (t->require_client || t->sans.n))
		return err_add(e, -EINVAL, "clientCA is missing: clients' certificates are held against it");
	return 0;
}

/* ---- rows ------------------------------------------------------------------------------------------------------ */

static const char *const fail_names[] = { "open", "closed", NULL };
static const char *const capture_names[] = { "none", "ebpf", "redirect", "tproxy", NULL };
/* enum tls_mode, less one */
static const char *const mode_names[] = { "strict", "permissive", NULL };
static const char *const version_names[] = { "1.2", "1.3", NULL };
static const char *const xff_names[] = { "keep", "append", "set", NULL };
static const char *const forwarded_names[] = { "x-forwarded", "forwarded", "both", NULL };
static const char *const slash_names[] = { "keep", "reject", NULL };

static const struct conf_item tls_rows[] = {
	CONF_LINE_ITEM(struct listener_tls_conf, line),
	CONF_ITEM(struct listener_tls_conf, mode, "mode", ENUM, .names = mode_names, .dflt = "strict",
		  .help = "permissive: clients may come with TLS or without"),
	CONF_ITEMS(struct listener_tls_conf, certificates, "certificates", STRUCT, struct cluster_certificate,
		   .rows = certificate_rows, .required = true, .help = "chosen by the name that the client asks for; else the first"),
	CONF_ITEM(struct listener_tls_conf, client_ca, "clientCA", STRING, .max = 500, .check = check_secret_path,
		  .help = "file with the certificates of CAs, PEM; none: clients are not asked for certificates"),
	CONF_ITEM(struct listener_tls_conf, require_client, "requireClientCertificate", BOOL, .dflt = "false",
		  .help = "true: who shows none is refused"),
	CONF_ITEMS(struct listener_tls_conf, sans, "sans", STRING, struct slice,
		   .help = "one of these DNS names or URIs must be in the client's certificate; none: any that the CA signed"),
	CONF_ITEMS(struct listener_tls_conf, alpn, "alpn", STRING, struct slice, .min = 1, .max = 255,
		   .help = "protocols that are accepted, best first; none: ALPN is not answered, which is HTTP/1.1; HTTP/2 and gRPC want h2"),
	CONF_ITEM(struct listener_tls_conf, min_version, "minVersion", ENUM, .names = version_names, .dflt = "1.2",
		  .help = "of TLS"),
	CONF_ITEM(struct listener_tls_conf, kernel, "kernel", ENUM, .names = tls_kernel_names, .dflt = "off",
		  .help = "auto: the kernel makes the records where it can (kTLS), so that large bodies pass by the proxy"),
	CONF_END
};

static const struct conf_item stream_rule_rows[] = {
	CONF_ITEMS(struct listener_rule, sources, "sources", STRING, struct slice, .check = check_block,
		   .help = "addresses or blocks such as 10.0.0.0/8 that clients come from; none: any"),
	CONF_ITEMS(struct listener_rule, destinations, "destinations", STRING, struct slice, .check = check_block,
		   .help = "the same for where they wanted to go"),
	CONF_ITEM(struct listener_rule, port, "port", INT, .min = 1, .max = 65535, .help = "where they wanted to go; none: any"),
	CONF_ITEMS(struct listener_rule, snis, "snis", STRING, struct slice, .max = NAME_MAX_BYTES, .check = check_sni,
		   .help = "TLS server names, `*.example` too, also of TLS that is passed on; none: any, and without TLS"),
	CONF_ITEMS(struct listener_rule, backends, "backends", STRUCT, struct route_to, .rows = route_backend_rows,
		   .required = true, .help = "clusters that take the connections"),
	CONF_END
};

static const struct conf_item timeouts_rows[] = {
	CONF_ITEM(struct listener_timeouts, idle_ns, "idle", DURATION, .max = CONF_HOURS_MAX, .dflt = "1h",
		  .help = "between two requests; tcp, udp: without a byte; 0s: none"),
	CONF_ITEM(struct listener_timeouts, head_ns, "head", DURATION, .min = 1000000, .max = CONF_HOURS_MAX, .dflt = "10s",
		  .help = "for a TLS handshake, and for the head of a request"),
	CONF_ITEM(struct listener_timeouts, age_ns, "connectionAge", DURATION, .max = CONF_HOURS_MAX, .dflt = "0s",
		  .help = "http: so old, and a tenth more or less, a connection is asked to go: GOAWAY, or `Connection: close`; 0s: never"),
	CONF_ITEM(struct listener_timeouts, grace_ns, "connectionGrace", DURATION, .max = CONF_HOURS_MAX, .dflt = "0s",
		  .help = "http: behind connectionAge, for what is under way; then it is closed; 0s: no limit"),
	CONF_END
};

static const struct conf_item limits_rows[] = {
	CONF_ITEM(struct listener_limits, head_bytes, "headBytes", SIZE, .min = HEAD_BYTES_MIN, .max = HEAD_BYTES_MAX,
		  .dflt = "64KiB", .help = "of a request's head; more: status 431"),
	CONF_ITEM(struct listener_limits, headers, "headers", INT, .min = 1, .max = HEADERS_MAX, .dflt = "100",
		  .help = "of a request; more: status 431"),
	CONF_ITEM(struct listener_limits, target_bytes, "targetBytes", SIZE, .min = TARGET_BYTES_MIN, .max = HEAD_BYTES_MAX, .dflt = "16KiB",
		  .help = "of a request's target; more: status 414"),
	CONF_ITEM(struct listener_limits, connections, "connections", INT, .dflt = "0", .help = "at a time, per node; 0: no limit"),
	CONF_ITEM(struct listener_limits, connection_requests, "connectionRequests", INT, .dflt = "0",
		  .help = "http: of one connection, which is asked to go with the last one; 0: no limit"),
	CONF_END
};

const struct conf_item fact_listener_rows[] = {
	CONF_ITEM(struct listener_conf, name, "name", STRING, .required = true, .max = NAME_MAX_BYTES, .check = check_fact_name,
		  .help = "unique over all registries"),
	CONF_ITEM(struct listener_conf, address, "address", ADDRESS, .min = 1,
		  .help = "where it listens; `0.0.0.0` and `[::]` are every address; none with capture ebpf, which has no socket of its own"),
	CONF_ITEM(struct listener_conf, protocol, "protocol", STRING, .max = NAME_MAX_BYTES, .check = check_protocol, .dflt = "http",
		  .help = "http: HTTP/1.1, HTTP/2 and gRPC; http-proxy: applications name it as their HTTP proxy; tcp, udp; bolt, dubbo "
			  "or another RPC protocol; auto: each connection by its first bytes"),
	{ .name = "protocolSettings", .type = CONF_STRUCT, .help = "what `protocol` declares, if that is one of RPC" },
	CONF_ITEMS(struct listener_conf, detect, "detect", STRING, struct slice, .check = check_detect,
		   .help = "protocols beside `protocol` that are taken on the same port, by a connection's first bytes: http or those of RPC"),
	CONF_ITEM(struct listener_conf, capture, "capture", ENUM, .names = capture_names, .dflt = "none",
		  .help = "how it learns where a client wanted to go; ebpf: connect() of programs on the node sends them, without any rule"),
	CONF_ITEMS(struct listener_conf, destinations, "destinations", STRING, struct slice, .check = check_block,
		   .help = "capture ebpf: addresses or blocks such as 10.99.0.0/16 that it captures, unless a service has the address and "
			   "port; the longest block wins"),
	CONF_ITEMS(struct listener_conf, ports, "ports", INT, uint16_t, .min = 1, .max = 65535,
		   .help = "capture ebpf: of these destinations; none: every port"),
	CONF_ITEM(struct listener_conf, fail, "failMode", ENUM, .names = fail_names, .dflt = "open",
		  .help = "capture ebpf: what becomes of clients while no proxy works: they go where they dialled, or are refused"),
	CONF_ITEM(struct listener_conf, tls, "tls", STRUCT, .rows = tls_rows, .check = check_tls, .help = "given: it speaks TLS"),
	CONF_ITEMS(struct listener_conf, net_filters, "netFilters", STRUCT, struct listener_filter, .rows = net_filter_rows,
		   .help = "what is done with bytes before the protocol sees them, in this order, behind TLS; proxy-protocol comes first, before TLS"),
	CONF_ITEMS(struct listener_conf, filters, "filters", STRUCT, struct listener_filter, .rows = listener_filter_rows,
		   .help = "what its requests pass, in this order, before those of their rule; answers pass in reverse"),
	CONF_ITEMS(struct listener_conf, trusted, "trusted", STRING, struct slice, .check = check_block,
		   .help = "addresses or blocks whose PROXY, X-Forwarded-* and Forwarded headers are believed; none: everybody's "
			   "PROXY header, nobody's others"),
	{ .name = "routes", .type = CONF_LIST, .of = CONF_STRING,
	  .help = "http: names of routes, or routes themselves, without a name" },
	CONF_ITEMS(struct listener_conf, rules, "rules", STRUCT, struct listener_rule, .rows = stream_rule_rows,
		   .check = check_stream_rule, .help = "tcp and udp: the first one that fits"),
	CONF_ITEM(struct listener_conf, xff, "xff", ENUM, .names = xff_names, .dflt = "keep",
		  .help = "what becomes of the headers that say where a request came from; append: this hop is added, set: the "
			  "client alone, in place of all that came"),
	CONF_ITEM(struct listener_conf, forwarded, "forwarded", ENUM, .names = forwarded_names, .dflt = "x-forwarded",
		  .help = "which headers say it: X-Forwarded-*, Forwarded (RFC 7239) or both"),
	CONF_ITEM(struct listener_conf, merge_slashes, "mergeSlashes", BOOL, .dflt = "false", .help = "true: // in a path is /"),
	CONF_ITEM(struct listener_conf, escaped_slashes, "escapedSlashes", ENUM, .names = slash_names, .dflt = "keep",
		  .help = "%2F and %5C in a path; reject: status 400"),
	CONF_ITEM(struct listener_conf, grpc_web, "grpcWeb", BOOL, .dflt = "false",
		  .help = "true: gRPC-Web of browsers reaches hosts as gRPC"),
	CONF_ITEM(struct listener_conf, request_id, "requestID", BOOL, .dflt = "true", .help = "x-request-id is made when absent"),
	CONF_ITEM(struct listener_conf, timeouts, "timeouts", STRUCT, .rows = timeouts_rows, .help = "how long clients may take"),
	CONF_ITEM(struct listener_conf, limits, "limits", STRUCT, .rows = limits_rows, .help = "what clients may send"),
	CONF_END
};
