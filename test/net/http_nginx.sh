#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# nginx behind the proxy and wrk before it: nothing is lost while nginx closes connections, is reloaded, and one of two is
# killed; every request that wrk sent is accounted for at wrk, in the proxy and in nginx. And what curl does with a real server.
. "$(dirname "$0")/../lib/net.sh"
for tool in nginx wrk; do command -v $tool > /dev/null || skip "$tool is not installed"; done

cat > "$T/weft.yaml" <<YAML
workers: 2
kernel: {mode: off}
listeners:
- {name: web, address: "127.0.0.1:8080", protocol: http, routes: [all]}
- {name: out, address: "127.0.0.1:8081", protocol: http-proxy}
routes:
- name: all
  rules:
  # An nginx that ends resets what waits in its backlog: connected to, and never seen by it.
  - matches: [{path: {value: /two}}]
    filters: [{type: URLRewrite, path: {type: ReplaceFullPath, value: /one}}]
    retry: {attempts: 3, on: [reset, connect-failure], backoff: 1ms, budget: {percent: 100, minPerSecond: 10000}}
    backends: [{cluster: two}]
  - {backends: [{cluster: one}]}
clusters:
- {name: one, endpoints: [{address: "127.0.0.1:9001"}]}
- {name: two, endpoints: [{address: "127.0.0.1:9001"}, {address: "127.0.0.1:9002"}]}
services:
- {name: files, addresses: [10.96.0.1], ports: [{port: 80}], cluster: one}
YAML
nginx_conf() {  # port
	mkdir -p "$T/ng$1/tmp"
	cat > "$T/ng$1/nginx.conf" <<-CONF
	daemon off; user root; worker_processes 1; pid $T/ng$1/pid; error_log stderr warn;
	events { worker_connections 2048; }
	http {
		client_body_temp_path $T/ng$1/tmp; proxy_temp_path $T/ng$1/tmp; fastcgi_temp_path $T/ng$1/tmp;
		uwsgi_temp_path $T/ng$1/tmp; scgi_temp_path $T/ng$1/tmp;
		log_format one '\$request_method \$uri \$status \$request_length';
		access_log $T/ng$1/access.log one;
		keepalive_requests 50; keepalive_timeout 2s; client_max_body_size 0;
		types { text/plain txt; }
		gzip on; gzip_min_length 100; gzip_types text/plain; gzip_proxied any;
		dav_methods PUT; create_full_put_path on;
		server {
			listen 127.0.0.1:$1 backlog=4096; root $T/files;
			location = /one { return 200 "one\n"; }
			location = /post { proxy_pass http://127.0.0.1:$1/one; }
			location /up/ { client_body_in_file_only off; dav_methods PUT; }
		}
	}
	CONF
}
nginx_start() { bg "nginx$1.log" nginx -p "$T/ng$1" -c "$T/ng$1/nginx.conf"; wait_for 20 curl -s "http://127.0.0.1:$1/one"; }
mkdir -p "$T/files/up"
head -c 5000000 /dev/urandom > "$T/files/big"
python3 -c "print('words and words\n' * 20000)" > "$T/files/text.txt"
nginx_conf 9001
nginx_conf 9002
nginx_start 9001
nginx_start 9002
FIRST=$BG_PID
weftd_start

# What wrk sent and got, by its own words: sent = got + in flight at the end, at most one on each connection.
cat > "$T/count.lua" <<'LUA'
local threads = {}
function setup(thread) table.insert(threads, thread) end
function init(args) sent, got, bad = 0, 0, 0; path = args[1] end
function request() sent = sent + 1; return wrk.format("GET", path) end
function response(status) got = got + 1; if status ~= 200 then bad = bad + 1 end end
function done(summary)
	local s, g, b = 0, 0, 0
	for _, t in ipairs(threads) do s = s + t:get("sent"); g = g + t:get("got"); b = b + t:get("bad") end
	local e = summary.errors
	print(string.format("sent %d got %d bad %d broken %d late %d", s, g, b, e.connect + e.read + e.write, e.timeout))
end
LUA
quiet() { [ "$(metric weft_http_active)" = 0 ] && [ "$(metric weft_listener_open)" = 0 ]; }
lines() { cat "$T"/ng*/access.log | grep -c ' /one 200 '; }
load() {  # name path seconds connections command...: under load, the command runs
	local name=$1 path=$2 seconds=$3 conns=$4 before at sent got bad broken
	shift 4
	wait_for 20 quiet
	before=$(metric weft_http_requests_total) at=$(lines)
	bg wrk.log wrk -t2 -c"$conns" -d"${seconds}s" --timeout 60s -s "$T/count.lua" http://127.0.0.1:8080"$path" -- "$path"
	local wrk=$BG_PID
	"$@"
	wait "$wrk" || fail "wrk fails"
	read -r _ sent _ got _ bad _ broken _ < <(grep '^sent' "$T/wrk.log")
	wait_for 60 quiet
	local through=$(($(metric weft_http_requests_total) - before)) served=$(($(lines) - at))
	echo "  $name: sent $sent, got $got, through $through, served $served"
	is "$bad $broken" "0 0" "$name: no bad answer, no broken connection"
	[ "$got" -gt 0 ] && [ "$got" -le "$through" ] && [ "$through" -le "$sent" ] || fail "$name: the proxy counts $through"
	# And one that wrk makes to try the script.
	[ $((sent - got)) -le $((conns + 1)) ] || fail "$name: $((sent - got)) of $sent requests were not answered"
	[ "$served" -ge "$got" ] || fail "$name: nginx served $served, wrk got $got"
	# Sent twice only where the first went to a connection that nginx had closed: never served twice.
	[ "$served" -le "$through" ] || fail "$name: nginx served $served of $through"
	case_pass "$name"
}
load keepalive_that_nginx_ends_every_50_requests /one 3 64 true
# While wrk is at work, which it is for so many seconds.
reloads() { local i; for i in 1 2 3 4 5; do kill -HUP "$(cat "$T/ng9001/pid")"; pause 0.3; done; }
load nginx_is_reloaded /one 3 64 reloads
first_goes() { pause 0.5; kill -QUIT "$FIRST"; wait "$FIRST" || true; }
load one_of_two_goes /two 3 64 first_goes
load one_of_two_is_gone /two 2 64 true
# Each with another setting of the cluster, another route and another cluster.
storm() {
	local i
	cp "$T/weft.yaml" "$T/base"
	for i in $(seq 100); do
		sed -e "s|^- {name: one,|- {name: more, endpoints: [{address: \"127.0.0.1:$i\"}]}\n- {name: one, connectTimeout: $((1000 + i))ms,|" \
			-e "s|^  rules:|  rules:\n  - {matches: [{path: {value: /r$i}}], backends: [{cluster: more}]}|" "$T/base" | write_file "$T/weft.yaml"
		weft reload > "$T/reload.out" || fail "reload $i: $(cat "$T/reload.out")"
	done
	cp "$T/base" "$T/weft.yaml"
}
load a_hundred_reloads /one 6 64 storm
[ "$(metric weft_reload_taken_total)" -ge 100 ] || fail "only $(metric weft_reload_taken_total) were taken"
is "$(metric weft_reload_refused_total)" 0 "each of them was taken"
is "$(metric weft_proxy_exits_total)" 0 "by the same proxy"

c() { curl -sS --max-time 60 "$@"; }
U=http://127.0.0.1:8080
is "$(c $U/big | md5sum)" "$(md5sum < "$T/files/big")" "5 MB down"
is "$(c --http1.0 $U/big | md5sum)" "$(md5sum < "$T/files/big")" "over HTTP/1.0"
is "$(c -r 100-199,300-309 -o /dev/null -w '%{http_code}' $U/big)" 206 "ranges"
is "$(c -r 4000000- $U/big | md5sum)" "$(tail -c +4000001 "$T/files/big" | md5sum)" "the rest of a download"
is "$(c --compressed $U/text.txt | md5sum)" "$(md5sum < "$T/files/text.txt")" "compressed, chunked by nginx"
like "$(c -D - -o /dev/null -H 'Accept-Encoding: gzip' $U/text.txt)" 'Content-Encoding: gzip' "it was"
etag=$(c -I $U/big | tr -d '\r' | sed -n 's/^ETag: //p')
is "$(c -o /dev/null -w '%{http_code}' -H "If-None-Match: $etag" $U/big)" 304 "not modified"
is "$(c -T "$T/files/big" -o /dev/null -w '%{http_code}' -H 'Expect: 100-continue' $U/up/one)" 201 "an upload that waits for 100"
is "$(md5sum < "$T/files/up/one")" "$(md5sum < "$T/files/big")" "arrived whole"
is "$(c -T - -o /dev/null -w '%{http_code}' $U/up/two < "$T/files/big")" 201 "an upload in chunks"
is "$(md5sum < "$T/files/up/two")" "$(md5sum < "$T/files/big")" "arrived whole"
is "$(c --data-binary "@$T/files/big" -o /dev/null -w '%{http_code}' $U/post)" 200 "a POST that nginx passes on"
is "$(c --no-progress-meter -Z --parallel-max 20 -w "%{http_code}\n" $(for i in $(seq 100); do echo "-o /dev/null $U/one"; done) | sort | uniq -c | xargs)" "100 200" "a hundred at once"
is "$(c -w '%{num_connects} ' -o /dev/null -o /dev/null -o /dev/null $U/one $U/one $U/one)" "1 0 0 " "three on one connection"
is "$(c -x http://127.0.0.1:8081 http://files/big | md5sum)" "$(md5sum < "$T/files/big")" "as http_proxy"
is "$(c -p -x http://127.0.0.1:8081 http://files:80/big | md5sum)" "$(md5sum < "$T/files/big")" "through CONNECT"
is "$(c -o /dev/null -w '%{http_code}' $U/none)" 404 "nginx's 404 is nginx's"
case_pass what_curl_does
wait_for 20 quiet
weftd_stop
