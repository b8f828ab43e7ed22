#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every verb as a table and as JSON, every path of the Admin API, and what wrong usage gets.
. "$(dirname "$0")/../lib/net.sh"

cat > "$T/weft.yaml" <<YAML
kernel: {cgroup: $CG}
node: {name: n1, locality: {region: r1, zone: z1}}
services:
- {name: six, addresses: ["fd00:96::6"], cluster: web, ports: [{port: 80}]}
- {name: web.default, addresses: [10.96.0.10], cluster: web, ports: [{port: 80, target: 8080}], sessionAffinity: {type: ClientIP, timeout: 60s}}
clusters: [{name: web, loadBalancer: maglev, endpoints: [{address: 10.244.0.1, locality: {zone: z1}}, {address: 10.244.0.2}]}]
workloads: [{name: client, cgroup: /client, shortCircuit: {splice: never}}]
YAML
mkdir -p "$CG/client"
weftd_start
full() { admin /kernel | grep -qE '"rung":"(full|off)"'; }
wait_for 30 full
is_json() { python3 -m json.tool > /dev/null; }

for verb in status services clusters routes listeners connections "kernel maps" "kernel programs" "kernel reasons" "config dump" version; do
	# shellcheck disable=SC2086
	ok "weft $verb" weft $verb
	# shellcheck disable=SC2086
	weft $verb -o json > "$T/out.json"
	ok "weft $verb -o json is JSON" is_json < "$T/out.json"
done
like "$(weft services)" '^web.default +10.96.0.10 +80 +TCP +web +kernel +maglev +2 +2 ' "services shows the service"
like "$(weft services)" '^note: six port 80: fd00:96::6 is an IPv6 address' "and what is hardly meant"
like "$(weft services -o wide)" 'AFFINITY' "-o wide shows more"
like "$(weft clusters web)" '10.244.0.1 +ready' "clusters shows the hosts of one"
like "$(weft status)" '^registries +yes' "status shows the conditions"
like "$(weft kernel maps)" '^service_map +hash' "kernel maps lists them"
ok "one map's entries" weft kernel maps frontend_map
like "$(weft kernel maps service_map)" '"algo"' "entries are named by their fields"
like "$(weft kernel maps frontend_map | tr -d ' \n')" '"addr":"10.96.0.10","port":80,' "a frontend's port reads as one"
like "$(weft kernel maps backend_map | tr -d ' \n')" '"addr":"10.244.0.1","port":8080,' "and a backend's"
like "$(weft kernel maps flow_map)" '"note": "what it holds hangs on sockets' "a map that cannot be listed says so"
like "$(weft kernel reasons)" '^no_backend +LB' "reasons with their meaning"
like "$(weft explain tcp 10.96.0.10:80 --from "$CG/client")" 'service +web.default port 80' "explain names the service"
weft explain tcp 10.96.0.10:80 --from /client --sample 100 -o json > "$T/out.json"
ok "explain as JSON" python3 - "$T/out.json" <<-PY
	import json, sys
	d = json.load(open(sys.argv[1]))
	assert d["service"]["name"] == "web.default" and d["service"]["affinitySeconds"] == 60, d
	assert d["path"] == "kernel" and d["reason"] in ("translated", "affinity"), d
	assert sum(d["sample"]["picked"].values()) == 100, d
	assert abs(sum(b["share"] for b in d["backends"]) - 1) < 1e-6, d
	assert d["choice"]["address"] in [b["address"] for b in d["backends"]], d
PY
like "$(weft explain tcp 10.96.0.10:80 | grep '10.244.0.1:8080 ')" ' ready ' "a backend's state is called as weft clusters calls it"
like "$(weft explain tcp 10.9.9.9:80)" 'not a service' "explain says when there is nothing to do"
ok "config check" weft config check "$T/weft.yaml"

# As JSON a verb and the path that it asks say the same; where it shows a part, that part.
same_keys() {  # verb, path, member
	# shellcheck disable=SC2086
	weft $1 -o json > "$T/verb.json"
	admin "$2" > "$T/path.json"
	ok "weft $1 -o json is what $2 says" python3 - "$T/verb.json" "$T/path.json" "$3" <<-'PY'
		import json, sys
		verb, path = (json.load(open(f)) for f in sys.argv[1:3])
		names = lambda d: [r.get("name") for r in d[sys.argv[3]]]
		assert set(verb) <= set(path) and sys.argv[3] in verb, (set(verb), set(path))
		assert names(verb) == names(path), (names(verb), names(path))
		assert sys.argv[3] in ("maps", "programs") or set(verb) == set(path)
	PY
}
same_keys services /services services
same_keys clusters /clusters clusters
same_keys routes /routes routes
same_keys listeners /listeners listeners
same_keys connections /connections connections
same_keys "kernel maps" /kernel maps
same_keys "kernel programs" /kernel programs
same_keys "kernel reasons" /kernel/reasons reasons

for path in / /version /ready /live /stats /config /snapshot /services /clusters /routes /listeners /connections /kernel /kernel/reasons \
	/kernel/maps/ctl_map "/explain?protocol=tcp&address=10.96.0.10:80" /registries; do
	is "$(admin_status "$path")" 200 "GET $path"
	admin "$path" > "$T/out.json"
	ok "GET $path is JSON" is_json < "$T/out.json"
done
admin /metrics > "$T/metrics"
like "$(cat "$T/metrics")" '^weft_ready\{condition="kernel"\} 1' "metrics: conditions"
like "$(cat "$T/metrics")" '^weft_service_picked_total\{service="web.default",port="80",protocol="TCP"' "metrics: services"
like "$(cat "$T/metrics")" '^weft_kernel_reason_total\{reason="translated"\}' "metrics: reasons"
like "$(cat "$T/metrics")" '^weft_kernel_selftest\{case="' "metrics: the self-test"
is "$(grep -vcE '^(#|[a-z][a-z0-9_]*(\{[^}]*\})? [0-9.e+-]+$)' "$T/metrics" || true)" 0 "metrics: every line is well formed"
is "$(grep -c '^# TYPE' "$T/metrics")" "$(grep '^# TYPE' "$T/metrics" | sort -u | wc -l)" "metrics: a type is given once"
is "$(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:15000/live)" 200 "the API answers on loopback"
is "$(curl -s -o /dev/null -w '%{http_code}' -H 'Host: evil.example' http://127.0.0.1:15000/live)" 403 \
	"but not to a page that rebound a name"
is "$(admin_status /nothing)" 404 "an unknown path is 404"
is "$(admin /live -X POST -o /dev/null -w '%{http_code}')" 405 "only GET and HEAD"
is "$(admin_status '/explain?address=x')" 400 "a bad address is 400"
is "$(admin_status '/explain?address=1.1.1.1:1&from=/none')" 400 "a cgroup that does not exist is 400"
is "$(admin_status '/kernel/maps/none')" 404 "a map that does not exist is 404"
is "$(stat -c %a /run/weft/admin.sock)" 600 "the socket is root's"

usage() {
	local rc=0 want=$1
	shift
	"$@" > "$T/usage" 2>&1 || rc=$?
	is $rc "$want" "$*: exit code $want"
}
usage 2 "$B/weft" nonsense
like "$(cat "$T/usage")" 'unknown verb: nonsense; there are: status, services' "and says which verbs there are"
usage 2 "$B/weft" config
like "$(cat "$T/usage")" 'config: a second word is missing; there are: config check, config dump' "and says what may follow"
usage 2 "$B/weft" kernel nonsense
like "$(cat "$T/usage")" 'unknown verb: kernel nonsense; there are: kernel maps, ' "and names the group"
usage 2 "$B/weft" --socket
like "$(cat "$T/usage")" '^weft: --socket: its value is missing: --socket PATH$' "and says what is missing"
usage 2 "$B/weft" explain tcp 10.96.0.10:80 --from
like "$(cat "$T/usage")" '^weft: --from: its value is missing: --from CGROUP.PID.IDENTITY$' "and so for a verb's option"
usage 2 "$B/weft"
usage 2 "$B/weft" services -o xml
usage 2 "$B/weft" explain tcp
usage 1 "$B/weft" services nobody
usage 1 "$B/weft" --socket /nonexistent status
like "$(cat "$T/usage")" 'is weftd running' "and says what to look for"
usage 0 "$B/weft" --help
usage 0 "$B/weft" explain --help
usage 2 "$B/weftd" --nonsense
usage 2 "$B/weftd" --tool nonsense
usage 2 "$B/weftd" -c /nonexistent.yaml --check
usage 2 "$B/weft" config check /nonexistent.yaml

# config check reads what the registries would: everything that is wrong, with its file and line.
mkdir -p "$T/d"
cat > "$T/reg.yaml" <<YAML
registries: [{name: files, type: file, path: $T/d}]
YAML
cat > "$T/d/a.yaml" <<'YAML'
services:
- {name: a, addresses: [10.96.0.1], cluster: nowhere, ports: [{port: 80}]}
- {name: b, addresses: [10.96.0.2], cluster: gone, ports: [{port: 80}]}
YAML
cat > "$T/d/b.yaml" <<'YAML'
clusters:
- {name: x, loadBalancer: fastest}
- {name: y, endpoints: [{address: nonsense}]}
YAML
usage 2 "$B/weft" config check "$T/reg.yaml"
like "$(cat "$T/usage")" "^$T/d/a.yaml:2: service a: ports.0..cluster: no cluster \"nowhere\"" "names what nobody gives"
like "$(cat "$T/usage")" "^$T/d/a.yaml:3: service b: ports.0..cluster: no cluster \"gone\"" "all of it"
like "$(cat "$T/usage")" "^$T/d/b.yaml:2: clusters.0..loadBalancer: want " "a wrong word"
like "$(cat "$T/usage")" "^$T/d/b.yaml:3: clusters.1..endpoints.0..address: " "and all of these"
is "$(wc -l < "$T/usage")" 4 "and nothing else"
rm "$T/d/b.yaml"
cat > "$T/d/a.yaml" <<'YAML'
services: [{name: a, addresses: ["fd00:96::1"], cluster: c, ports: [{port: 80}]}]
clusters: [{name: c, endpoints: [{address: "10.244.0.1:80"}]}]
YAML
usage 0 "$B/weft" config check "$T/reg.yaml"
like "$(cat "$T/usage")" "^$T/d/a.yaml:1: note: service a: port 80: fd00:96::1 is an IPv6 address, and all hosts of cluster c are IPv4" \
	"an address that no host can serve is a note"
cat > "$T/d/a.yaml" <<'YAML'
listeners:
- {name: t, address: "127.0.0.1:1", protocol: tcp, rules: [{backends: [{cluster: tcp}, {cluster: both}]}]}
- {name: u, address: "127.0.0.1:1", protocol: udp, rules: [{backends: [{cluster: udp}, {cluster: both}]}]}
- {name: w, address: "127.0.0.1:2", routes: [w]}
routes: [{name: w, rules: [{backends: [{cluster: web}]}]}]
clusters:
- {name: tcp, proxyProtocol: true, connectionPool: {maxRequestsPerConnection: 1}}
- {name: udp, proxyProtocol: true}
- {name: both, proxyProtocol: true}
- {name: web, proxyProtocol: true, connectionPool: {maxRequestsPerConnection: 1}}
YAML
usage 0 "$B/weft" config check "$T/d/a.yaml"
like "$(cat "$T/usage")" "a.yaml:7: note: cluster tcp: connectionPool.maxRequestsPerConnection is not used: only listeners of protocol tcp and udp" \
	"a number of requests where there are none"
like "$(cat "$T/usage")" "a.yaml:8: note: cluster udp: proxyProtocol is not used: only listeners of protocol udp" "headers where none can be"
is "$(grep -c note: "$T/usage")" 2 "both where they are of use"
rm -r "$T/d"
usage 0 "$B/weft" config check "$T/reg.yaml"
like "$(cat "$T/usage")" "^note: registry files: cannot read $T/d: No such file" "a folder that is not there yet, too"
like "$(cat "$T/usage")" "reg.yaml: good: [0-9]+ facts, 1 registries" "and good all the same"
weftd_stop
