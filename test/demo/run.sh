#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The main job on an embedded default: two pods of backends and one of a client, a service from a file, balanced at
# connect() and short-circuited in the kernel. Everything lives in namespaces and a cgroup that end with this script,
# also on Ctrl-C. Each claim is asserted: the demo is also a test.
. "$(dirname "$0")/../lib/net.sh"

title() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
show() { show_as "$*" "$@"; }
# With the command as a user would type it, where what runs is a function of this script.
show_as() { printf '   $ %s\n' "$1"; "${@:2}" | sed 's/^/     /'; }
json() { python3 -c "import json,sys; d=json.load(sys.stdin); print($1)"; }

VIP=10.96.0.10
LOAD=$B/test/perf/load/load
[ -x "$LOAD" ] || fail "$LOAD is not built"

title "Two pods that serve, two that ask: each a network namespace on a bridge, each in a cgroup"
pod_add web1
pod_add web2
pod_add client
pod_add plain
serve web1 one --tcp 8080 --udp 5353
serve web2 two --tcp 8080 --udp 5353
echo "   web1 10.244.0.1   web2 10.244.0.2   client 10.244.0.3   plain 10.244.0.4"

title "weft starts from a file; services come from a folder that it watches"
mkdir -p "$T/services.d"
services() {
	cat <<-YAML
	services:
	- {name: web.default, addresses: [$VIP], cluster: web, ports: [{port: 80, target: 8080}]}
	- {name: load.default, addresses: [$VIP], cluster: load, ports: [{port: 9000}]}
	- {name: dns.default, addresses: [$VIP], cluster: dns, ports: [{port: 53, protocol: UDP, target: 5353}]}
	clusters:
	- {name: web, loadBalancer: round-robin, endpoints: [$1]}
	- {name: dns, loadBalancer: round-robin, endpoints: [$1]}
	- {name: load, endpoints: [{address: 10.244.0.1}]}
	YAML
}
services "{address: 10.244.0.1}, {address: 10.244.0.2}" | write_file "$T/services.d/web.yaml"
cat > "$T/weft.yaml" <<YAML
kernel:
  cgroup: $CG
  shortCircuit: {enabled: ${SC:-auto}}
registries:
- {name: files, type: file, path: $T/services.d}
workloads:
- {name: web1, cgroup: /web1, shortCircuit: {splice: never}}
- {name: web2, cgroup: /web2, shortCircuit: {splice: never}}
- {name: client, cgroup: /client, shortCircuit: {splice: never}}
- {name: plain, cgroup: /plain, shortCircuit: {enabled: false}}
YAML
sed 's/^/     /' "$T/services.d/web.yaml"
weftd_start
wait_for 20 sh -c "$B/weft doctor -o json > $T/doctor.json; test -s $T/doctor.json"
RUNG=$(admin /kernel | json 'd["rung"]')
show weft status

title "Ordinary programs ask the service's address: curl, nc, and a datagram"
ask() { in_pod client curl -s --max-time 60 "http://$VIP/"; }
show_as "curl http://$VIP/" ask
for _ in 1 2 3 4 5 6 7 8 9 10; do ask; done | sort | uniq -c | sed 's/^/     /'
is "$(for _ in 1 2 3 4 5 6 7 8 9 10; do ask; done | sort -u | wc -l)" 2 "requests are spread over both backends"
is "$(for _ in 1 2 3 4; do ask; done | sort | uniq -c | awk '{print $1}' | tr '\n' ' ')" "2 2 " "round robin is exact"
like "$(printf 'hello\n' | in_pod client nc -N -w 3 $VIP 80)" '^(one|two)$' "nc reaches a backend"
like "$(printf 'x' | in_pod client nc -u -w 1 -W 1 $VIP 53)" '(one|two)' "UDP reaches a backend, and its answer comes from the address that was asked"

title "Which path, and why"
show weft explain tcp $VIP:80 --from "$CG/client" --sample 1000
show weft services

title "A backend that leaves the file is gone for the next connection"
services "{address: 10.244.0.2}" | write_file "$T/services.d/web.yaml"
gone() { [ "$(admin /clusters | json '[len(c["hosts"]) for c in d["clusters"] if c["name"] == "web"][0]')" = 1 ]; }
wait_for 5 gone
is "$(for _ in 1 2 3 4 5 6; do ask; done | sort -u)" two "every request goes to the one that is left"
services "" | write_file "$T/services.d/web.yaml"
nobody() { [ "$(admin /clusters | json '[len(c["hosts"]) for c in d["clusters"] if c["name"] == "web"][0]')" = 0 ]; }
wait_for 5 nobody
rc=0
in_pod client curl -s --max-time 60 "http://$VIP/" > "$T/refused" || rc=$?
is $rc 7 "without a backend connect() fails at once (curl: could not connect)"
services "{address: 10.244.0.1}, {address: 10.244.0.2}" | write_file "$T/services.d/web.yaml"
wait_for 5 ask

title "The same load, without and with the short-circuit, side by side"
bg load.log in_pod web1 "$LOAD" serve -a 10.244.0.1 -p 9000 -c 0
SERVER=$BG_PID
wait_for 10 in_pod web1 sh -c 'ss -Hltn sport = 9000 | grep -q .'
trips() { in_pod "$1" "$LOAD" trips -a $VIP -p 9000 -s 100 -t 1 -c 0 -P $SERVER; }
printf '   %-32s %12s %12s %16s\n' '100 B there and back, one core' 'p50 us' 'trips/s' 'CPU us/trip'
for round in 1 2 3; do
	for pod in plain client; do
		trips $pod > "$T/trips.json"
		python3 - "$T/trips.json" "$pod" <<-'PY'
			import json, sys
			d = json.load(open(sys.argv[1]))
			side = "short-circuited" if sys.argv[2] == "client" else "TCP stack (plain pod)"
			print("   %-32s %12.1f %12.0f %16.1f" % (side, d["trip_p50"], d["per_s"], d["client_us"] + d["server_us"]))
		PY
	done
done
latest() { weft connections | head -5; }
show_as "weft connections | head -5" latest
if [ "$RUNG" = full ]; then
	bytes=$(admin /services | json 'sum(p.get("txBytes", 0) for s in d["services"] for p in s["ports"] if s["name"] == "load.default")')
	ok "bytes of the load skipped the stack: $bytes" test "$bytes" -gt 1000000
else
	echo "   rung $RUNG: $(admin /kernel | json 'd["why"]')"
fi

title "The agent is killed with -9; nobody notices"
( while [ ! -e "$T/enough" ]; do ask || echo LOST; done ) > "$T/during" 2>&1 &
ASKING=$!
wait_for 10 test -s "$T/during"
weftd_kill
before=$(wc -l < "$T/during")
more() { [ "$(wc -l < "$T/during")" -gt $((before + 20)) ]; }
wait_for 20 more
echo "   $(($(wc -l < "$T/during") - before)) requests answered while no agent ran"
weftd_start
show weft status
before=$(wc -l < "$T/during")
wait_for 20 more
touch "$T/enough"
wait $ASKING || true
is "$(grep -c LOST "$T/during" || true)" 0 "no request was lost over the crash and the restart"

title "What bpftool sees"
PINS=$(admin /kernel | json 'd["pins"]')
show bpftool cgroup tree "$CG"
show bpftool map dump pinned "$PINS/maps/frontend_map"

title "Everything is taken away again"
weftd_stop
show weft kernel detach
is "$(bpftool -j cgroup tree "$CG")" "[]" "no program is left on the cgroup"
fails "no pin is left" test -e "$PINS/maps/frontend_map"
printf '\n\033[1mDone.\033[0m Everything above ran in namespaces that end now.\n'
