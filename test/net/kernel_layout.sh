# SPDX-License-Identifier: Apache-2.0
# Other map sizes in the configuration: the next agent exchanges programs and maps while connections are made, and no
# connect, datagram or stream is lost; what programs have learned (affinity, round robin) is carried over.
. "$(dirname "$0")/../lib/net.sh"
export PYTHONPATH=$SRC/test/lib PYTHONDONTWRITEBYTECODE=1

pod_add client
pod_add server
for i in 1 2 3 4; do ip -n server addr add "10.244.0.10$i/24" dev eth0; done
bg answer.log in_pod server python3 "$SRC/test/lib/answer.py" --port 7000 10.244.0.10{1..4}
serve server echo --tcp 7777 --mode echo
wait_line 20 "$T/answer.log" ready
config() {  # sizes
	cat > "$T/weft.yaml" <<-YAML
	kernel: {cgroup: $CG, maps: {$1}}
	workloads:
	- {name: client, cgroup: /client, shortCircuit: {splice: never}}
	- {name: server, cgroup: /server, shortCircuit: {splice: never}}
	services:
	- {name: app, addresses: [10.96.0.10], cluster: app, ports: [{port: 80}, {port: 53, protocol: UDP}]}
	- {name: sticky, addresses: [10.96.0.11], cluster: app, ports: [{port: 80}], sessionAffinity: {type: ClientIP}}
	- {name: echo, addresses: [10.96.0.12], cluster: echo, ports: [{port: 7}]}
	clusters:
	- {name: echo, endpoints: [{address: "10.244.0.2:7777"}]}
	- {name: app, loadBalancer: round-robin, endpoints: [{address: "10.244.0.101:7000"}, {address: "10.244.0.102:7000"}, {address: "10.244.0.103:7000"}, {address: "10.244.0.104:7000"}]}
	YAML
}
config ""
weftd_start
full() { admin /kernel | grep -q '"rung":"full"'; }
wait_for 30 full
P=/sys/fs/bpf/weft/abi1
size() { bpftool -j map show pinned "$P/maps/$1" | python3 -c 'import json,sys; print(json.load(sys.stdin)["max_entries"])'; }
id() { python3 "$SRC/test/lib/pins.py" ids "$P" "$1"; }
links() { python3 "$SRC/test/lib/pins.py" ids "$P" | grep '^links ' | cut -d' ' -f1-3; }
services() { bpftool -j map dump pinned "$P/maps/service_map" | python3 -c 'import json,sys; print(sorted(r["formatted"]["key"] for r in json.load(sys.stdin)))'; }
loaded() { admin /kernel | python3 -c 'import json,sys; print(json.load(sys.stdin)["loaded"])'; }
dial() { in_pod client python3 "$SRC/test/lib/dial.py" "$@"; }

# Another client takes the first turn, so that a balancer that forgot everything would not choose the same again.
in_cg "$CG/other" python3 "$SRC/test/lib/dial.py" tcp 10.96.0.11 80
sticky=$(dial tcp 10.96.0.11 80 3)
ids=$(services)
links > "$T/links.1"
bg steady.log in_pod client python3 "$SRC/test/lib/steady.py" 10.96.0.10 80 --udp 53 --stream 10.96.0.12 7
STEADY=$BG_PID
wait_line 20 "$T/steady.log" running

map_gone() { ! bpftool map show id "$1"; }
change() {  # what, how it ends, sizes
	local old
	old=$(id service_map)
	$2
	config "$3"
	weftd_start
	is "$(loaded)" replaced "$1: replaced"
	fails "$1: another service_map" test "$(id service_map)" = "$old"
	is "$(services)" "$ids" "$1: services keep their ids"
	links > "$T/links.2"
	ok "$1: the same links" diff "$T/links.1" "$T/links.2"
	is "$(dial tcp 10.96.0.11 80 3)" "$sticky" "$1: affinity holds"
	wait_for 30 full
	is "$(find "$P"/../ -name '*-new' | wc -l)" 0 "$1: nothing half made stays"
	wait_for 10 map_gone "$old"
	echo "  ok: $1: the old map is gone from the kernel"
}
SMALL="services: 64, frontends: 128, backends: 256, slots: 4096, affinity: 32, workloads: 64"
change "smaller" weftd_stop "$SMALL"
is "$(size service_map) $(size frontend_map) $(size backend_map) $(size affinity_map)" "64 128 256 32" "smaller: the sizes asked for"
change "larger" weftd_stop "services: 1000, frontends: 2000, backends: 3000, slots: 65536, affinity: 100, workloads: 100"
is "$(size service_map) $(size backend_map)" "1000 3000" "larger: the sizes asked for"
change "only one size differs, after a kill" weftd_kill "services: 2000, frontends: 2000, backends: 3000, slots: 65536, affinity: 100, workloads: 100"

# The maps of live connections keep their size until a detach; it is said.
kept=$(id pair_map)
weftd_stop
config "services: 2000, frontends: 2000, backends: 3000, slots: 65536, affinity: 100, workloads: 100, sockets: 4096"
weftd_start
is "$(id pair_map)" "$kept" "another number of sockets: the map of live connections stays"
like "$(cat "$T/weftd.log")" 'pair_map keeps room for 262144 entries, not 4096' "and the log says so"
wait_for 30 full

# Killed in the middle of the exchange, at any instant.
for i in 1 2 3; do
	weftd_kill
	config "services: $((100 * i)), frontends: 2000, backends: 3000, slots: 65536, affinity: 100, workloads: 100"
	bg weftd.log in_cg "$CG/weftd" "$B/weftd" -c "$T/weft.yaml"
	pause "0.$((i * 2))"
	kill -KILL "$BG_PID"
	wait "$BG_PID" 2> /dev/null || true
	weftd_start
	is "$(size service_map)" $((100 * i)) "killed while exchanging, $i: the next one finished it"
	is "$(services)" "$ids" "and services keep their ids"
done
is "$(dial tcp 10.96.0.11 80 3)" "$sticky" "affinity still holds"

kill -TERM "$STEADY"
wait "$STEADY" || fail "the client noticed: $(cat "$T/steady.log")"
like "$(cat "$T/steady.log")" '^connects [0-9]{3,} datagrams [0-9]{3,} stream [0-9]{5,} bytes, failed 0$' "a client that never pauses noticed nothing"
weftd_stop
