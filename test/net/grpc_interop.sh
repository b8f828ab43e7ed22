#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# gRPC's interoperability tests (grpc-go's client and server) with weft between: HTTP/2 on both sides, plain and TLS.
. "$(dirname "$0")/../lib/go_tool.sh"
CLIENT=$(go_tool grpcinterop google.golang.org/grpc/interop/client) || exit 1
SERVER=$(go_tool grpcinterop google.golang.org/grpc/interop/server) || exit 1
export CLIENT SERVER
. "$(dirname "$0")/../lib/net.sh"
. "$(dirname "$0")/../lib/certs.sh"

self_signed "$T/shop" DNS:shop,IP:127.0.0.1
cat > "$T/weft.yaml" <<YAML
workers: 2
kernel: {mode: off}
telemetry: {accessLog: [{path: $T/access.log, format: json}]}
listeners:
- {name: rpc, address: "127.0.0.1:8080", protocol: http, routes: [plain]}
- name: safe
  address: "127.0.0.1:8443"
  protocol: http
  routes: [tls]
  tls: {mode: strict, alpn: [h2], certificates: [{cert: $T/shop.crt, key: $T/shop.key}]}
routes:
- {name: plain, rules: [{matches: [{service: {type: Prefix, value: grpc.testing.}}], backends: [{cluster: plain}]}]}
- {name: tls, rules: [{matches: [{service: {type: Prefix, value: grpc.testing.}}], backends: [{cluster: tls}]}]}
clusters:
- {name: plain, protocol: http2, endpoints: [{address: "127.0.0.1:9001"}]}
- {name: tls, protocol: http2, endpoints: [{address: "127.0.0.1:9002"}], tls: {sni: shop, trustedCA: $T/shop.crt}}
YAML
bg plain.log "$SERVER" -port 9001
bg tls.log "$SERVER" -port 9002 -use_tls -tls_cert_file "$T/shop.crt" -tls_key_file "$T/shop.key"
for p in 9001 9002; do wait_for 60 bash -c "exec 3<>/dev/tcp/127.0.0.1/$p"; done
weftd_start

each() { # NAME ARGS
	local name=$1 test
	shift
	for test in empty_unary large_unary client_streaming server_streaming ping_pong empty_stream timeout_on_sleeping_server \
		cancel_after_begin cancel_after_first_response status_code_and_message special_status_message custom_metadata \
		unimplemented_method unimplemented_service rpc_soak channel_soak; do
		if timeout 120 "$CLIENT" -server_host 127.0.0.1 "$@" -test_case $test -soak_iterations 50 -soak_overall_timeout_seconds 60 \
			-soak_per_iteration_max_acceptable_latency_ms 60000 > "$T/client.log" 2>&1; then
			case_pass "$name-$test"
		else
			tail -5 "$T/client.log" >&2
			case_fail "$name-$test" "$(tail -1 "$T/client.log" | cut -c 1-150)"
		fi
	done
}
each plain -server_port 8080
each tls -server_port 8443 -use_tls -use_test_ca -ca_file "$T/shop.crt" -server_host_override shop

# What the server was asked went by weft, and its status is known.
of() { jq -s --arg m "$1" --arg s "$2" '[.[] | select(.rpc_method == $m and .grpc_status == $s)] | length' "$T/access.log"; }
logged() { [ "$(of EmptyCall ok)" -ge 2 ] && [ "$(of UnaryCall unknown)" -ge 4 ] && [ "$(of UnimplementedCall unimplemented)" -ge 4 ]; }
wait_for 60 logged
like "$(admin /metrics | grep '^weft_http_connects_total' | tr '\n' ' ')" '[0-9]' "connections are counted"
weftd_stop
