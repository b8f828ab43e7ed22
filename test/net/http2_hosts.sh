#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Real servers that speak HTTP/2, for clients of HTTP/1.1 and HTTP/2: nghttpd on plain text and TLS, nginx, which goes away
# every few requests, and one that picks HTTP/1.1 of what it is offered.
. "$(dirname "$0")/../lib/net.sh"
. "$(dirname "$0")/../lib/certs.sh"
for tool in nghttpd nginx h2load; do command -v $tool > /dev/null || skip "$tool is not installed"; done

mkdir -p "$T/tls" "$T/files" "$T/ng/tmp"
(cd "$T/tls" && make_ca ca && make_cert web ca DNS:web.example)
echo hello > "$T/files/hello"
head -c 5000000 /dev/urandom > "$T/files/big"
chmod 755 "$T"
TLS="tls: {sni: web.example, trustedCA: $T/tls/ca.crt"
cluster() { echo "- {name: $1, endpoints: [{address: \"127.0.0.1:$2\"}], $3}"; }
check() { echo "healthCheck: {type: http, path: $1, interval: 100ms, timeout: 20s, unhealthyThreshold: 1, healthyThreshold: 1}"; }
route() { echo "  - {matches: [{path: {type: PathPrefix, value: /$1}}], filters: [{type: URLRewrite, path: {type: ReplacePrefixMatch, value: /}}], backends: [{cluster: $1}]}"; }
cat > "$T/weft.yaml" <<YAML
workers: 2
kernel: {mode: off}
listeners:
- {name: web, address: "127.0.0.1:8080", protocol: http, routes: [all]}
routes:
- name: all
  rules:
$(for c in plain safe either one only away not2 not1; do route $c; done)
clusters:
$(cluster plain 9001 "protocol: http2, $(check /hello)")
$(cluster safe 9002 "protocol: http2, $TLS}, $(check /hello)")
$(cluster ill 9002 "protocol: http2, $TLS}, $(check /none)")
$(cluster old 9003 "protocol: http2, $(check /hello)")
$(cluster either 9002 "$TLS, alpn: [h2, http/1.1]}")
$(cluster one 9003 "$TLS, alpn: [h2, http/1.1]}")
$(cluster only 9003 "protocol: http2, $TLS}")
$(cluster away 9004 'protocol: http2')
$(cluster not2 9005 'protocol: http2')
$(cluster not1 9001 'protocol: http')
YAML
listens() { (exec 3<> "/dev/tcp/127.0.0.1/$1") 2> /dev/null; }
server() { bg "server-$1.log" "${@:2}"; wait_for 60 listens "$1"; }
server 9001 nghttpd --no-tls -d "$T/files" --echo-upload --trailer 'x-sum: 7' 9001
server 9002 nghttpd -d "$T/files" --echo-upload --trailer 'x-sum: 7' 9002 "$T/tls/web.key" "$T/tls/web.crt"
nginx_server() { echo "server { listen 127.0.0.1:$1; root $T/files; location / { dav_methods PUT; } }"; }
cat > "$T/ng/nginx.conf" <<CONF
daemon off; user root; worker_processes 1; pid $T/ng/pid; error_log stderr warn;
events { worker_connections 2048; }
http {
	client_body_temp_path $T/ng/tmp; proxy_temp_path $T/ng/tmp; fastcgi_temp_path $T/ng/tmp;
	uwsgi_temp_path $T/ng/tmp; scgi_temp_path $T/ng/tmp; access_log off;
	ssl_certificate $T/tls/web.crt; ssl_certificate_key $T/tls/web.key;
	$(nginx_server '9003 ssl')
	keepalive_requests 10;
	$(nginx_server '9004 http2')
	$(nginx_server 9005)
}
CONF
server 9004 nginx -p "$T/ng" -c "$T/ng/nginx.conf"
wait_for 60 listens 9003
weftd_start

# Checks speak what the cluster's hosts do.
health() { admin /clusters | jq -r --arg n "$1" '.clusters[] | select(.name == $n) | .hosts[0].health'; }
says() { health "$1" | grep -qE "^$2\$"; }
wait_for 60 says plain healthy
wait_for 60 says safe healthy
wait_for 60 says ill 'unhealthy: HTTP status 404'
wait_for 60 says old 'unhealthy: .*'
case_pass health_checks

URL=http://127.0.0.1:8080
ask() { curl -sS -m 60 "$@"; }
for way in --http1.1 --http2-prior-knowledge; do
	for c in plain safe either one away; do
		is "$(ask $way "$URL/$c/hello")" hello "$c $way"
		ask $way "$URL/$c/big" | cmp - "$T/files/big" || fail "a large answer of $c $way"
		is "$(ask $way "$URL/$c/none" -o /dev/null -w '%{http_code}')" 404 "$c $way"
		like "$(ask $way -I "$URL/$c/hello")" '[Cc]ontent-[Ll]ength: 6' "HEAD of $c $way"
	done
	case_pass "answers${way%-prior*}"
done
# curl 7.88 sometimes gives up in the middle of an upload over HTTP/2.
for c in plain safe either; do
	ask --data-binary "@$T/files/big" "$URL/$c/hello" | cmp - "$T/files/big" || fail "a body there and back, $c"
	nghttp -d "$T/files/big" "$URL/$c/hello" | cmp - "$T/files/big" || fail "a body there and back, $c, HTTP/2"
done
case_pass bodies
# An answer of HTTP/1.1 that has a length has no place for them.
like "$(nghttp -v -H 'te: trailers' "$URL/safe/hello")" 'x-sum: 7' "trailers"
# What is offered is h2 alone, so the host's HTTP/1.1 is no answer.
is "$(ask "$URL/only/hello" -o /dev/null -w '%{http_code}')" 503 "a host that does not speak HTTP/2"
wait_line 60 "$T/weftd.log" 'upstream: cluster only, host 127.0.0.1:9003: '
case_pass a_host_that_does_not_speak_it

# 10 requests a connection, of 20 under way: nginx says GOAWAY in the middle of everything.
load() { h2load "$@" 2>&1 | grep -E '^requests:' | sed 's/.*done, //'; }
is "$(load -n 3000 -c 4 -m 20 "$URL/away/hello")" "3000 succeeded, 0 failed, 0 errored, 0 timeout" "no request is lost by GOAWAY, HTTP/2"
is "$(load --h1 -n 1000 -c 20 "$URL/away/hello")" "1000 succeeded, 0 failed, 0 errored, 0 timeout" "no request is lost by GOAWAY, HTTP/1.1"
goaways() { [ "$(metric weft_http_multiplexed_goaways_total)" -ge 200 ]; }
wait_for 60 goaways
case_pass hosts_that_go_away

# The counters are of a second ago: 48 requests by hand, and 4000 by h2load.
told() { [ "$(metric weft_http_active)" = 0 ] && [ "$(metric weft_http_requests_total)" -ge "$1" ]; }
wait_for 60 told 4048
before=$(metric weft_http_multiplexed_connects_total)
is "$(load -n 4000 -c 8 -m 10 "$URL/plain/hello")" "4000 succeeded, 0 failed, 0 errored, 0 timeout" "many streams"
is "$(load -n 4000 -c 8 -m 10 "$URL/safe/hello")" "4000 succeeded, 0 failed, 0 errored, 0 timeout" "many streams over TLS"
wait_for 60 told 12048
[ $(($(metric weft_http_multiplexed_connects_total) - before)) -le 4 ] || fail "a worker has one connection to each host"
case_pass connections_are_few

# Lines about hosts are one a second, for each worker.
said() { [ "$(ask "$URL/$1/hello" -o /dev/null -w '%{http_code}')" = 502 ] && grep "cluster $1, host 127.0.0.1:$2: connection closed: $3" "$T/weftd.log"; }
wait_for 60 said not2 9005 "not HTTP/2, which the cluster's protocol is"
wait_for 60 said not1 9001 'not HTTP/1'
case_pass the_log_tells_a_protocol_that_is_not_the_hosts
weftd_stop
