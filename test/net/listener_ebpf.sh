#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Ranges that listeners capture by connect(), the example of docs/listeners.md as it stands: for clients of the node and of
# pods, which see whom they dialled; hosts in the range are reached without a circle; while the proxy is away the fail mode
# decides; reloads and a new agent touch no connection.
. "$(dirname "$0")/../lib/net.sh"
export PYTHONPATH=$SRC/test/lib PYTHONDONTWRITEBYTECODE=1

L=$T/listeners.d
conf() {
	echo "kernel: {cgroup: $CG}"
	echo 'workers: 4'
	echo "registries: [{name: files, type: file, path: $L}]"
	echo 'workloads: [{name: client, cgroup: /client}]'
	awk '/^## /{ here = $0 == "## Ranges" } !here { next } $0 == "```yaml" { on = 1; next } /^```$/ { on = 0 } on' \
		"$SRC/docs/listeners.md"
}
conf > "$T/weft.yaml"
mkdir "$L"
more() { write_file "$L/more.yaml"; }
# Nothing is there but web's host by itself, and a client's own address.
more <<'YAML'
listeners:
- {name: circle, capture: ebpf, protocol: tcp, destinations: [10.244.0.1], ports: [15001], rules: [{backends: [{cluster: dialled}]}]}
YAML
pod_add client
pod_add stranger
pod_add host
for a in 10.0.0.5/32 10.99.0.7/32 10.99.1.9/32 fd00:99::7/128; do ip -n host addr add "$a" dev lo; done
ip route add 10.99.0.0/16 via 10.244.0.3
ip route add 10.0.0.5 via 10.244.0.3
ip -6 route add fd00:99::/64 via fd00:244::3
bg host.log in_pod host python3 "$SRC/test/lib/l7_hosts.py" 0.0.0.0 9001 a 0.0.0.0 9002 b fd00:99::7 9002 six
wait_line 20 "$T/host.log" ready
bg client.log in_pod client sleep infinity
get() { local pod=$1; shift; in_pod "$pod" curl -sS --max-time 20 "$@"; }
local_get() { in_cg "$CG/here" curl -sS --max-time 20 "$@"; }
# The first packets of IPv6 take a second or two to find their way.
wait_for 20 get client 'http://[fd00:99::7]:9002/'
wait_for 20 local_get 'http://[fd00:99::7]:9002/'
weftd_start

answers() { [ "$(get client "http://$1")" = "$2" ]; }
count() { admin /listeners | python3 -c "import json,sys; print(next(l.get('$2', 0) for l in json.load(sys.stdin)['listeners'] if l['name'] == '$1'))"; }
count_is() { [ "$(count "$1" "$2")" = "$3" ]; }
served() { weft listeners | grep -qE "^$1 .* served"; }

wait_for 30 served databases
wait_for 30 answers 10.99.0.1/x "a 10.244.0.1 10.99.0.1 direct"
like "$(weft listeners -o wide)" '^databases +10.99.0.0/16,fd00:99::/64 +tcp +served .* ebpf +closed ' "its ranges are shown"
like "$(weft listeners -o wide)" '^web +10.99.1.0/24:8080,10.99.1.0/24:9002 +http +served .* ebpf +open ' "with their ports"
like "$(weft explain tcp 10.99.0.9:5432 --from /client)" 'range +10.99.0.0/16 of listener databases, failMode closed' "explain says whose it is"
like "$(weft explain tcp 10.99.0.9:5432 --from /client)" '10.244.0.1:15001' "and where it goes"
like "$(weft explain tcp 10.99.1.9:8080 --from /client)" '10.99.1.0/24:8080 of listener web' "the longer block, with its port"
like "$(weft explain tcp 10.99.1.9:80 --from /client)" '10.99.0.0/16 of listener databases' "another port is the wider block's"
like "$(weft explain udp 10.99.0.9:53 --from /client)" 'no_service' "not over UDP"
like "$(weft kernel maps)" '^prefix_map +lpm_trie +5 +16384 ' "five ranges are in the kernel"
is "$(metric weft_kernel_ranges_served)" 5 "the proxy knows them all"

# A host in the range that leads to it: by the proxy, which is not captured itself.
is "$(get client http://10.99.0.7:9002/x)" "b 10.244.0.1 10.99.0.7:9002 direct" "original destination, from the pod's own address"
is "$(get client 'http://[fd00:99::7]:9002/x')" "six fd00:244::1 [fd00:99::7]:9002 direct" "over IPv6"
is "$(get client http://10.99.1.9:9002/x)" "b 10.244.0.1 10.99.1.9:9002 proxied" "an HTTP listener: to whom it dialled"
is "$(get client http://10.99.1.5:8080/a)" "a 10.244.0.1 10.99.1.5:8080 proxied" "or where its path leads"
is "$(local_get http://10.99.1.9:9002/x)" "b 10.244.0.254 10.99.1.9:9002 proxied" "clients of the node too"
is "$(local_get 'http://[fd00:99::7]:9002/x' | cut -d' ' -f1,3)" "six [fd00:99::7]:9002" "over IPv6 too"
wait_for 20 count_is databases accepted 4
wait_for 20 count_is web accepted 3
echo "  ok: each was counted for its listener"
is "$(get stranger http://10.99.1.9:9002/x)" "b 10.244.0.2 10.99.1.9:9002 direct" "a namespace of no workload: open, direct"
closed() { local rc=0; get "$1" --max-time 5 -o /dev/null http://10.99.0.7:9002/ || rc=$?; [ $rc = 7 ]; }
ok "closed, refused" closed stranger

cat > "$T/looks.py" <<'PY'
import socket
from look import look
look("four", socket.socket(), "10.99.0.7", 9002)
look("six", socket.socket(socket.AF_INET6), "fd00:99::7", 9002)
look("mapped", socket.socket(socket.AF_INET6), "::ffff:10.99.1.9", 9002)
PY
is "$(in_pod client python3 "$T/looks.py" | tr '\n' ',')" \
	"four 10.244.0.1 10.99.0.7 9002,six fd00:244::1 fd00:99::7 9002,mapped ::ffff:10.244.0.1 ::ffff:10.99.1.9 9002," \
	"clients see their own address and whom they dialled: non-blocking, IPv6, mapped"

# Who dials the outbound listener within a range would go round for ever.
is "$(in_pod client python3 -c "
import socket
try: print(socket.create_connection(('10.244.0.1', 15001), 60).recv(1) or 'closed')
except ConnectionResetError: print('closed')")" closed "a circle is closed"
wait_for 20 count_is circle no_host 1
is "$(count circle accepted)" 1 "and went round once"

# Bad ones are refused with both lines, and what serves goes on.
conf | sed 's/^- name: web$/&\n  failMode: closed/; s|destinations: \[10.99.1.0/24\]|destinations: [10.99.0.0/16]|; s/  ports: .*//' > "$T/weft.yaml"
fails "a range of two listeners" weft reload
like "$(cat "$T/ok.out")" "10.99.0.0/16 is given twice, first in .*weft.yaml:[0-9]+" "is refused with the first one's line"
conf | sed 's/^  protocol: tcp$/  protocol: udp/' > "$T/weft.yaml"
fails "UDP" weft reload
like "$(cat "$T/ok.out")" 'ebpf is for TCP alone; for udp want tproxy' "is refused in words"
conf > "$T/weft.yaml"
ok "the right one again" weft reload

# Ranges come, change and go under connections that stay.
cat > "$T/kept.py" <<'PY'
import http.client, os, sys, time
kept = [http.client.HTTPConnection(*a.rsplit(",", 1), timeout=60) for a in sys.argv[2:] for _ in range(8)]
n = 0
while not os.path.exists(sys.argv[1]):
    for c in kept:
        c.request("GET", "/")
        a = c.getresponse()
        assert a.status == 200 and a.read(), a.status
        assert c.sock, "closed by the other side"
        n += 1
    if n == 2 * len(kept):
        print("under way", flush=True)
    time.sleep(0.01)
print("good", n, flush=True)
PY
keep() {
	local log=$1
	shift
	bg "$log" in_pod client python3 "$T/kept.py" "$T/stop" "$@"
	wait_line 60 "$T/$log" 'under way|Error'
}
keep kept.log 10.99.0.7,9002 fd00:99::7,9002 10.99.1.9,9002
KEPT=$BG_PID
more <<'YAML'
listeners:
- {name: narrow, capture: ebpf, destinations: [10.99.0.7/32], ports: [9002], failMode: closed, routes: [{rules: [{backends: [{cluster: dialled}]}]}]}
YAML
wait_for 30 served narrow
wait_for 30 answers 10.99.0.7:9002/x "b 10.244.0.1 10.99.0.7:9002 proxied"
echo "  ok: a narrower range that comes has the new connections"
more <<'YAML'
listeners:
- {name: narrow, capture: ebpf, protocol: tcp, destinations: [10.99.0.0/24], rules: [{backends: [{cluster: a}]}]}
YAML
wait_for 30 answers 10.99.0.7:9003/x "a 10.244.0.1 10.99.0.7:9003 direct"
echo "  ok: it changes"
keep narrow.log 10.99.0.7,9003
NARROW=$BG_PID
more <<< 'listeners: []'
nobody() { ! get client --max-time 5 -o /dev/null http://10.99.0.7:9003/; }
wait_for 30 nobody
like "$(weft explain tcp 10.99.0.7:9002 --from /client)" 'listener databases' "it goes, and the wider one has them again"
conf | sed 's/ports: \[8080, 9002\]/ports: [9002]\n  failMode: closed/' > "$T/weft.yaml"
ok "one changes by a reload" weft reload
like "$(weft explain tcp 10.99.1.9:8080 --from /client)" 'listener databases' "a port that it no longer takes is the wider one's"
like "$(weft explain tcp 10.99.1.9:9002 --from /client)" 'listener web, failMode closed' "and its fail mode is another"
conf > "$T/weft.yaml"
ok "and back" weft reload
weftd_kill
is "$(get client http://10.99.1.9:9002/x)" "b 10.244.0.1 10.99.1.9:9002 proxied" "without an agent it goes on"
weftd_start
is "$(get client http://10.99.1.9:9002/x)" "b 10.244.0.1 10.99.1.9:9002 proxied" "the next one is not noticed"
: > "$T/stop"
wait $KEPT || fail "a connection was touched: $(tail -3 "$T/kept.log")"
wait $NARROW || fail "a connection of a range that went was touched: $(tail -3 "$T/narrow.log")"
like "$(cat "$T/kept.log" "$T/narrow.log" | tr '\n' ' ')" 'good [0-9]+ .*good [0-9]+' "no connection that was there was touched by any of it"
conf | awk '/^- name: web$/ { skip = 1 } /^clusters:/ { skip = 0 } !skip' | sed 's/failMode: closed/failMode: open/' > "$T/weft.yaml"
ok "one goes from the file" weft reload
wait_for 30 answers 10.99.1.9:9002/x "b 10.244.0.1 10.99.1.9:9002 direct"
conf > "$T/weft.yaml"
ok "and comes again" weft reload
wait_for 30 answers 10.99.1.9:9002/x "b 10.244.0.1 10.99.1.9:9002 proxied"

# Without an agent, which would put another proxy in its place.
PROXY=$(admin /ready | sed -n 's/.*process \([0-9]*\), 4 workers.*/\1/p')
weftd_kill
kill -KILL "$PROXY"
# Until the heartbeat is old its closed port refuses.
wait_for 20 answers 10.99.1.9:9002/x "b 10.244.0.1 10.99.1.9:9002 direct"
echo "  ok: no proxy, open: to whom it dialled"
ok "closed, refused" closed client
is "$(local_get http://10.99.1.9:9002/x)" "b 10.244.0.254 10.99.1.9:9002 direct" "on the node too"
weftd_start
wait_for 30 answers 10.99.1.9:9002/x "b 10.244.0.1 10.99.1.9:9002 proxied"
wait_for 30 answers 10.99.0.7:9002/x "b 10.244.0.1 10.99.0.7:9002 direct"
echo "  ok: the next proxy serves them"
is "$(metric weft_kernel_orphan_prefixes)" 0 "nothing is left behind"
