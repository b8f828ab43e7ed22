#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# weft explain http: which rule, why that one, what the others lack, what becomes of the request; weft routes.
. "$(dirname "$0")/../lib/net.sh"

cat > "$T/weft.yaml" <<YAML
kernel: {mode: off}
listeners:
- {name: web, address: "127.0.0.1:8080", protocol: http, routes: [orders, rest], mergeSlashes: true}
- {name: other, address: "127.0.0.1:8081", protocol: http, routes: [rest]}
services:
- {name: shop.default, addresses: [10.96.0.11], ports: [{port: 80}], routes: [orders]}
routes:
- name: orders
  hosts: ["*.example", shop.default]
  rules:
  - matches:
    - path: {type: PathPrefix, value: /v2}
      method: GET
      headers: [{name: x-user, type: Exact, value: bob}]
    filters:
    - {type: RequestHeaderModifier, set: [{name: x-mesh, value: weft}], remove: [x-debug]}
    - {type: URLRewrite, hostname: inner.local, path: {type: ReplacePrefixMatch, value: /api}}
    backends:
    - {cluster: orders, weight: 90, subset: {version: v1}}
    - {cluster: orders, weight: 10, subset: {version: v9}}
    timeouts: {request: 10s, backendRequest: 2s}
    retry: {attempts: 2, on: [connect-failure, 5xx]}
    hash: [{header: x-user}, {cookie: {name: sid, ttl: 1h}}]
  - matches:
    - {path: {type: PathPrefix, value: /v2}, queryParams: [{name: debug, type: RegularExpression, value: "[0-9]+"}]}
    - {path: {type: PathPrefix, value: /v2}, cookies: [{name: group, value: canary}]}
    backends: [{cluster: orders}]
  - matches: [{path: {value: /v2}}]
    backends: [{cluster: orders}]
  - matches: [{path: {type: Exact, value: /old}}]
    filters: [{type: RequestRedirect, scheme: https, path: {type: ReplaceFullPath, value: /v2}, statusCode: 301}]
- name: rest
  rules:
  - matches: [{path: {value: /gone}}]
    filters: [{type: DirectResponse, status: 410, body: "gone\n"}]
  - matches: [{path: {value: /void}}]
    backends: [{cluster: orders, weight: 0}]
  - matches: [{headers: [{name: x-who, type: Present}]}]
    backends: [{cluster: empty}]
clusters:
- name: orders
  loadBalancer: ring-hash
  endpoints:
  - {address: "10.0.0.7:8080", metadata: {version: v1}}
  - {address: "10.0.0.8:8080", metadata: {version: v2}, weight: 3}
  subsets: {keys: [[version]], fallback: any}
- {name: empty, endpoints: []}
YAML
weftd_start
x() { weft explain http "$@"; }

out=$(x GET http://a.example/v2/orders?debug=1 -H 'x-user: bob' -H 'X-Debug: on' --listener web)
like "$out" '^GET http://a.example/v2/orders.debug=1 at listener web$' "the request as it is routed, and where"
like "$out" '^  host +\*\.example$' "the host that decides"
like "$out" '^  rule +orders, rule 0 \(.*weft.yaml:[0-9]+\): PathPrefix /v2, GET, header x-user Exact bob$' "the rule and its place"
like "$out" '^  because +it names the method$' "why that one"
like "$out" '^  goes on as +GET /api/orders.debug=1, Host: inner.local$' "what the filters make of it"
like "$out" '^ +- X-Debug: on$' "a header that goes"
like "$out" '^ +\+ x-mesh: weft$' "a header that comes"
like "$out" '^  timeouts +request 10s, each try 2s, idle ' "timeouts"
like "$out" '^  connecting +where none can be made, to up to 2 hosts more$' "beside them, connections"
like "$out" '^  retries +2 on connect-failure,5xx|^  retries +2 on connect-failure, 5xx' "retries"
like "$out" '^  hash +[0-9a-f]{16}, and the client gets the cookie sid=[0-9a-f]{16}; Max-Age=3600' "hash and cookie"
like "$out" '^orders +version=v1 +90.0% +ring-hash +10.0.0.7:8080 +1 +ready' "a backend's hosts: those of the subset"
is "$(grep -c '^orders .*version=v9 .*10.0% .*ring-hash .*10\.0\.0\.[78]:8080' <<< "$out")" 2 "and all of them where nobody carries it"
like "$out" '^orders +1 +PathPrefix /v2, query parameter debug RegularExpression .* the chosen one names the method$' "a runner-up"
like "$out" '^orders +1 +PathPrefix /v2, cookie group Exact canary +it wants cookie group Exact canary: the request has none' "what one lacks"
like "$(x GET http://a.example/v2 -H 'x-user: eve' --listener web)" 'it wants header x-user Exact bob: the request has "eve"' \
	"and what the request has instead"
like "$(x PUT http://a.example/v2 -H 'x-user: bob' --listener web)" 'it wants method GET: the request has PUT' "the method"
like "$(x GET http://a.example/old --listener web)" '^  answer +301, Location: https://a.example/v2$' "a redirect and its place"
like "$(x GET http://other/gone/x --listener web)" '^  answer +410, 5 bytes$' "a direct answer"
like "$(x GET http://other/void --listener web)" '^  answer +503: no backend of the rule weighs anything$' "weights of 0"
like "$(x GET http://a.example/nothing --listener web)" '^  because +no rule matches$' "no rule"
like "$(x GET http://a.example/nothing --listener web)" '^  answer +404: no route$' "is 404"
like "$(x GET /gone -H 'Host: other' --listener web)" '^  answer +410' "a path alone, and its Host"
like "$(x GET http://a.example//v2/./x/%7e --listener web)" '^GET http://a.example/v2/x/~ at' "the path in the form in which it is routed"
like "$(x GET http://127.0.0.1:8081/gone)" 'at listener other$' "a listener by its port"
like "$(x GET http://shop.default/v2)" 'at service shop.default$' "a service by its name"
like "$(x GET http://10.96.0.11/v2 -H 'Host: shop.default')" '^GET http://shop.default/v2 at service shop.default$' "a service by its address"

x GET http://a.example/v2 --listener web -o json > "$T/out.json"
ok "as JSON" python3 - "$T/out.json" <<-PY
	import json, sys
	d = json.load(open(sys.argv[1]))
	assert d["at"] == {"listener": "web"} and d["host"] == "*.example", d
	assert (d["rule"]["route"], d["rule"]["rule"], d["outcome"]) == ("orders", 2, {"type": "forward"}), d
	assert abs(sum(b["share"] for b in d["backends"]) - 1) < 1e-9, d
	assert [h["address"] for h in d["backends"][0]["hosts"]] == ["10.0.0.7:8080", "10.0.0.8:8080"], d
	assert d["runnersUp"][0]["lacks"].startswith("method") or "x-user" in d["runnersUp"][0]["lacks"], d
PY
like "$(weft routes orders)" '^orders +\*\.example, ?shop.default +3 +Exact /old +redirect 301' "weft routes"
like "$(weft routes orders -o wide)" 'LISTENERS.*' "and with -o wide who has them"
curl -s -o /dev/null -H 'Host: a.example' http://127.0.0.1:8080/old
once() { [ "$(weft routes orders -o wide | grep -cE ' 1 +0 +web ')" = 1 ]; }
wait_for 60 once
echo "  ok: a route's counts stand in its first row"
usage() {
	local rc=0 words=$1
	shift
	weft "$@" > "$T/usage" 2>&1 || rc=$?
	like "$rc $(cat "$T/usage")" "$words" "weft $*"
}
usage '^2 .*explain http METHOD URL' explain http GET
usage '^1 .*2 HTTP listeners, 0 of them on port 80: say which one with --listener' explain http GET http://a.example/
usage '^1 .*no listener named x' explain http GET http://a.example/ --listener x
usage '^1 .*header nonsense: want NAME: VALUE' explain http GET http://a.example/ --listener web -H nonsense
usage '^1 .*the proxy answers 400 to this path' explain http GET http://a.example/%00 --listener web
usage '^1 .*url ftp://x: the scheme must be' explain http GET ftp://x --listener web
usage '^2 .*-H: its value is missing' explain http GET / -H

# What cannot be compiled is refused at its line, and the daemon keeps what it has.
sed 's#"\[0-9\]+"#"(a)\\\\1"#' "$T/weft.yaml" > "$T/bad.yaml"
fails "a back-reference" weft config check "$T/bad.yaml"
like "$(weft config check "$T/bad.yaml" 2>&1)" 'bad.yaml:[0-9]+: .*byte 4: back-references are not accepted' "is refused by name and line"
weftd_stop

# The page's example gives what the page says.
block() { awk -v lang="\`\`\`$1" '$0 == lang && !done { on = 1; next } /^```$/ && on { on = 0; done = 1 } on' "$SRC/docs/routing.md"; }
block yaml > "$T/weft.yaml"
weftd_start
block console | sed 1d > "$T/want"
command=$(block console | sed -n '1s/^\$ //p')
eval "$command" | sed "s#$T/##; s/ *$//" > "$T/got"
ok "docs/routing.md: $command" diff -u "$T/want" "$T/got"
weftd_stop

# Counters of the routers, and a text at its bound.
cat > "$T/weft.yaml" <<YAML
kernel: {mode: off}
workers: 1
listeners: [{name: web, address: "127.0.0.1:8080", protocol: http, routes: [r], limits: {headBytes: 64KiB}}]
routes: [{name: r, rules: [{matches: [{headers: [{name: x, type: RegularExpression, value: "(a+)+b"}]}], filters: [{type: DirectResponse, status: 200}]}]}]
YAML
weftd_start
status() { curl -s -o /dev/null -w '%{http_code}' -H "x: $1" http://127.0.0.1:8080/; }
is "$(status aab)" 200 "an expression that matches"
is "$(status "$(printf 'a%.0s' {1..40})bx")" 404 "one that would take for ever does not match"
is "$(status "$(printf 'a%.0s' {1..8200})b")" 404 "nor does a text above the bound"
counts() { admin /metrics | grep -q "^weft_$1{worker=\"0\"} $2\$"; }
wait_line 20 "$T/weftd.log" 'info  routes: route r: an expression is given up at its bound, for a request of client 127.0.0.1:[0-9]+ \(0 more'
wait_for 20 counts regex_limit_total 1
wait_for 20 counts regex_too_long_total 1
wait_for 20 counts router_matched_total 1
wait_for 20 counts router_unmatched_total 2
weftd_stop
