#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Bad files in the registry folder: a clear error with file:line, the old state kept, readiness and a metric say so.
. "$(dirname "$0")/../lib/net.sh"

D=$T/services.d
mkdir -p "$D"
write_file "$D/good.yaml" <<YAML
services:
- {name: good, addresses: [10.96.0.1], cluster: good, ports: [{port: 80}]}
clusters:
- {name: good, endpoints: [{address: "10.0.0.1:80"}]}
YAML
cat > "$T/weft.yaml" <<YAML
kernel: {cgroup: $CG}
registries: [{name: files, type: file, path: $D}]
YAML
weftd_start

unready() { [ "$(admin_status /ready)" = 503 ]; }
metric() { admin /metrics | sed -n "s/^weft_hub_$1 //p"; }
services() { admin /services | python3 -c 'import json,sys; print(" ".join(s["name"] for s in json.load(sys.stdin)["services"]))'; }

# NAME REGEX: the file bad.yaml from stdin must give an error that matches, and change nothing else.
bad() {
	write_file "$D/bad.yaml"
	wait_for 10 unready
	like "$(admin /ready)" "$2" "$1: says where and what"
	is "$(metric sources_unwell)" 1 "$1: the metric says so"
	is "$(services)" good "$1: the old state is kept"
	rm "$D/bad.yaml"
	wait_for 10 weftd_ready
}

bad "wrong field" 'bad.yaml:2: services\[0\].adresses: no such field, did you mean addresses' <<YAML
services:
- {name: x, adresses: [10.96.0.2], cluster: good, ports: [{port: 80}]}
YAML
bad "dangling reference" 'bad.yaml:2: service x: .*no cluster \\"nowhere\\"' <<YAML
services:
- {name: x, addresses: [10.96.0.2], cluster: nowhere, ports: [{port: 80}]}
YAML
bad "service without port" 'bad.yaml:2: .*ports' <<YAML
services:
- {name: x, addresses: [10.96.0.2], cluster: good}
YAML
bad "duplicate address" 'bad.yaml:2: service x: address 10.96.0.1 port 80 TCP is that of service good .*good.yaml:2' <<YAML
services:
- {name: x, addresses: [10.96.0.1], cluster: good, ports: [{port: 80}]}
YAML
bad "duplicate name" 'bad.yaml:2: .*good' <<YAML
services:
- {name: good, addresses: [10.96.0.9], cluster: good, ports: [{port: 80}]}
YAML
bad "port out of range" 'bad.yaml:3: services\[0\].ports\[0\].port: .*65535' <<YAML
services:
- {name: x, addresses: [10.96.0.2], cluster: good, ports: [
    {port: 70000}]}
YAML
bad "1 MiB of garbage" 'bad.yaml:1: ' < <(head -c 1048576 /dev/urandom)

# A file's name may be any bytes; JSON may not, and a registry that is unwell must not vanish from it.
odd=$D/$'b\xffd.yaml'
echo 'services: 1' > "$odd"
wait_for 10 unready
like "$(admin /ready)" '"registries","ok":false,"message":"files: .*b[?]d.yaml:1: services: want a list' "odd name: /ready says so"
like "$(admin /registries)" '"message":".*b[?]d.yaml:1' "odd name: /registries too"
like "$(cat "$T/weftd.log")" 'd[.]yaml:1: services: want a list' "and the log"
rm "$odd"
odd=$D/$'b\e[31m\xc2\x9b1md.yaml'
echo 'services: 1' > "$odd"
shown() { "$B/weft" status > "$T/status" || true; grep -qF 'b?[31m?1md.yaml:1: services' "$T/status"; }
wait_for 10 shown
fails "what a terminal would obey is not shown to it" grep -qaP '\e|\xc2\x9b' "$T/status"
fails "nor by the log" grep -qaP '\e|\xc2\x9b' "$T/weftd.log"
rm "$odd"
wait_for 10 weftd_ready
is "$(admin_status '/explain?address=%ff')" 400 "a query that is no UTF-8 is answered too"
bad "a tab" 'bad.yaml:2: ' < <(printf 'services:\n\t- x\n')
bad "not a mapping" 'bad.yaml:1: ' <<< '[1, 2]'

# Root reads everything, so what cannot be read is a dangling link and a folder where a file should be.
ln -s /nonexistent "$D/gone.yaml"
wait_for 10 unready
like "$(admin /ready)" 'gone.yaml' "unreadable file: named"
is "$(services)" good "unreadable file: the old state is kept"
rm "$D/gone.yaml"
wait_for 10 weftd_ready

# A bad second version of a good file keeps the facts of the first.
echo 'services: [{name: good' | write_file "$D/good.yaml"
wait_for 10 unready
is "$(services)" good "a file that went bad: what it said before stays"
write_file "$D/good.yaml" <<YAML
services:
- {name: better, addresses: [10.96.0.1], cluster: good, ports: [{port: 80}]}
clusters:
- {name: good, endpoints: [{address: "10.0.0.1:80"}]}
YAML
wait_for 10 weftd_ready
is "$(services)" better "and mended it is taken"

weftd_stop

# The configuration itself: refused whole, exit code 2.
check() {
	local rc=0
	cat > "$T/bad.yaml"
	"$B/weftd" -c "$T/bad.yaml" --check > "$T/check.out" 2>&1 || rc=$?
	is $rc 2 "$1: exit code 2"
	like "$(cat "$T/check.out")" "$2" "$1: says where and what"
	rc=0
	in_cg "$CG/other" "$B/weftd" -c "$T/bad.yaml" --instance other > "$T/start.out" 2>&1 || rc=$?
	is $rc 2 "$1: weftd does not start"
}
check "unknown field" 'bad.yaml:1: kernle: no such field, did you mean kernel' <<< 'kernle: {}'
check "wrong type" 'bad.yaml:1: kernel.connect: ' <<< 'kernel: {connect: maybe}'
check "dangling cluster" 'bad.yaml:1: service x: .*no cluster' \
	<<< 'services: [{name: x, addresses: [10.1.1.1], cluster: none, ports: [{port: 1}]}]'
check "unknown registry type" 'bad.yaml:1: registries\[0\].type: .*file' <<< 'registries: [{name: x, type: zookeeper}]'
check "later section" 'bad.yaml:1: policies: ' <<< 'policies: []'
check "dangling route of a listener" 'bad.yaml:1: listener l: routes\[0\]: no route "r"' \
	<<< 'listeners: [{name: l, address: "127.0.0.1:1", routes: [r]}]'
check "dangling cluster of a rule" 'bad.yaml:1: route l.0: rules\[0\].backends\[0\].cluster: no cluster "c"' \
	<<< 'listeners: [{name: l, address: "127.0.0.1:1", routes: [{rules: [{backends: [{cluster: c}]}]}]}]'
check "a protocol that nobody speaks" 'bad.yaml:1: listeners\[0\].protocol: want one of: http, http-proxy, tcp, udp, auto, .*; not sofa' \
	<<< 'listeners: [{name: l, address: "127.0.0.1:1", protocol: sofa, routes: [r]}]'
check "a rule that does nothing" 'bad.yaml:1: routes\[0\].rules\[0\]: want one of backends, a RequestRedirect' \
	<<< 'routes: [{name: r, rules: [{}]}]'
