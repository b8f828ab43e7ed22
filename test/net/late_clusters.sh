#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Clusters that registries bring: named by the configuration before, while and after they are there, and configured here with
# the hosts of a registry's service. docs/balancing.md: Hosts of a registry's service
. "$(dirname "$0")/../lib/net.sh"

A=$T/a.d
D=$T/b.d
mkdir -p "$A" "$D"
host() { mkdir -p "$T/$1"; echo "from $1" > "$T/$1/index.html"; bg "$1.log" python3 -m http.server "$1" --bind 127.0.0.1 --directory "$T/$1"; wait_for 60 curl -s "http://127.0.0.1:$1/"; }
for p in 9001 9002 9003; do host $p; done
web() { printf 'clusters: [{name: web, endpoints: [{address: "127.0.0.1:%s"}]}]\n' "$1"; }
conf() {  # further clusters
	write_file "$T/weft.yaml" <<-YAML
	kernel: {mode: off}
	registries:
	- {name: one, type: file, path: $A}
	- {name: two, type: file, path: $D}
	listeners:
	- {name: l, address: "127.0.0.1:8080", routes: [r]}
	- {name: t, address: "127.0.0.1:8081", protocol: tcp, rules: [{backends: [{cluster: web}]}]}
	routes:
	- name: r
	  rules:
	  - {matches: [{path: {type: PathPrefix, value: /found}}], filters: [{type: URLRewrite, path: {type: ReplaceFullPath, value: /}}], backends: [{cluster: found}]}
	  - {backends: [{cluster: web}]}
	clusters:
	- {name: found, loadBalancer: round-robin, discovery: {registry: two, service: shop.default, port: 80}}
	${1:-}
	YAML
}
got() { curl -s --max-time 60 "http://127.0.0.1:8080$1" || true; }
gives() { [ "$(got "$1")" = "from $2" ]; }
lacks() { [[ $(got "$1") =~ $2 ]]; }
unready() { [ "$(admin_status /ready)" = 503 ]; }
show() { weft clusters "$1" | tail -n +2; }

# ---- not there yet ------------------------------------------------------------------------------------------------
conf
ok "it is no mistake that a registry may mend" weft config check "$T/weft.yaml"
like "$(weft config check "$T/weft.yaml" 2>&1)" 'weft.yaml:9: note: cluster web: it is named here, and neither' "but said"
like "$(weft config check "$T/weft.yaml" 2>&1)" 'weft.yaml:[0-9]+: note: cluster found: registry two has no service shop.default' "so is a service that is not there"
weftd_start
ok "ready without them" weftd_ready
like "$(got /)" '\(NC\)' "503 NC where nobody has given the cluster"
like "$(got /found)" '\(UH\)' "503 UH where it has no hosts yet"
like "$(curl -s -o /dev/null -w '%{http_code}' --max-time 60 http://127.0.0.1:8080/)" 503 "status"
fails "TCP is closed" curl -s --max-time 60 http://127.0.0.1:8081/
like "$(show web)" 'absent: no registry has given it' "weft clusters"
like "$(show found)" 'registry two has no service shop.default' "and why one has no hosts"
like "$(weft explain http GET http://x:8080/)" 'absent: no registry has given it \(503 NC\)' "weft explain http"
like "$(cat "$T/weftd.log")" 'warn +web: no registry has given this cluster, which .*weft.yaml:9 names' "the log"
is "$(metric weft_store_absent) $(metric weft_discovery_waiting)" "1 1" "gauges"

# ---- it comes, from whichever registry ----------------------------------------------------------------------------
web 9001 | write_file "$A/web.yaml"
wait_for 60 gives / 9001
ok "served once a registry gives it" gives / 9001
is "$(curl -s --max-time 60 http://127.0.0.1:8081/)" "from 9001" "TCP too"
rm "$A/web.yaml"
wait_for 60 lacks / 'NC'
ok "taken back: 503 NC, and ready" weftd_ready
web 9002 | write_file "$D/web.yaml"
wait_for 60 gives / 9002
ok "another registry may give it then" gives / 9002

# ---- one name, two givers ------------------------------------------------------------------------------------------
web 9001 | write_file "$A/web.yaml"
wait_for 60 unready
like "$(admin /ready)" 'one: .*web.yaml:1: cluster web: given by another registry already \(two ' "the second one is refused, and says who has it"
ok "the first one's stays" gives / 9002
conf "- {name: web, endpoints: [{address: \"127.0.0.1:9003\"}]}"
fails "a configuration that gives it too is refused" weft reload
like "$(weft reload 2>&1 || true)" 'weft.yaml:[0-9]+: cluster web: given by another registry already \(two ' "by name"
ok "and nothing of it is used" gives / 9002
rm "$D/web.yaml"
wait_for 60 gives / 9001
ok "whoever waited is taken when the name is free" gives / 9001
rm "$A/web.yaml"
wait_for 60 lacks / 'NC'
weft reload > "$T/out"
wait_for 60 gives / 9003
ok "so is the configuration" gives / 9003
conf
weft reload > "$T/out"
wait_for 60 lacks / 'NC'

# ---- hosts of a registry's service ----------------------------------------------------------------------------------
shop() {  # endpoint ports
	local p
	printf 'services: [{name: shop.default, addresses: [10.96.0.7], cluster: shop, ports: [{port: 80}]}]\nclusters:\n- name: shop\n  endpoints:\n'
	for p; do printf '  - {address: "127.0.0.1:%s", metadata: {v: "%s"}}\n' "$p" "$p"; done
}
seen() { for _ in 1 2 3 4 5 6; do got /found; done | sort -u | tr '\n' ' '; }
sees() { [ "$(seen)" = "$1" ]; }
shop 9001 9002 | write_file "$D/shop.yaml"
wait_for 60 sees "from 9001 from 9002 "
like "$(show found)" '^found +round-robin +127.0.0.1:900' "by the cluster's own balancer"
like "$(admin /clusters)" '"discovery":\{"registry":"two","service":"shop.default","port":80,"state":"2 hosts"\}' "/clusters says so"
shop 9002 9003 | write_file "$D/shop.yaml"
wait_for 60 sees "from 9002 from 9003 "
ok "hosts come and go" sees "from 9002 from 9003 "
conf
sed -i 's/port: 80}}/port: 81}}/' "$T/weft.yaml"
weft reload > "$T/out"
wait_for 60 lacks /found 'UH'
like "$(show found)" 'service shop.default has no port 81' "another port: no hosts, and why"
sed -i 's/, discovery: {registry: two, service: shop.default, port: 81}/, endpoints: [{address: "127.0.0.1:9003"}]/' "$T/weft.yaml"
weft reload > "$T/out"
wait_for 60 sees "from 9003 "
conf
weft reload > "$T/out"
wait_for 60 sees "from 9002 from 9003 "
sed -i 's/, discovery: {registry: two, service: shop.default, port: 80}/, endpoints: [{address: "127.0.0.1:9003"}]/' "$T/weft.yaml"
weft reload > "$T/out"
wait_for 60 sees "from 9003 "
ok "endpoints of its own instead, one of them the same" sees "from 9003 "
rm "$D/shop.yaml"
pause 0.5
ok "are its own" sees "from 9003 "

# ---- what cannot come right ------------------------------------------------------------------------------------------
conf
sed -i 's/registry: two/registry: three/' "$T/weft.yaml"
fails "a registry that there is not" weft config check "$T/weft.yaml"
like "$(weft config check "$T/weft.yaml" 2>&1 || true)" 'weft.yaml:14: clusters.0..discovery.registry: want the name of one of .registries. \(one, two\), not three' "with what there is"
conf
sed -i '/^registries/d; /type: file/d; /discovery/d; /value: .found/d' "$T/weft.yaml"
fails "without registries a name that leads nowhere is a mistake" weft config check "$T/weft.yaml"
like "$(weft config check "$T/weft.yaml" 2>&1 || true)" 'weft.yaml:[0-9]+: route r: rules.0..backends.0..cluster: no cluster "web"' "and says where"
weftd_stop
