# SPDX-License-Identifier: Apache-2.0
# sessionAffinity ClientIP: a client keeps its backend until it is idle too long or the backend goes, whatever becomes of
# the others and of the agent.
. "$(dirname "$0")/../lib/net.sh"
export PYTHONPATH=$SRC/test/lib PYTHONDONTWRITEBYTECODE=1

D=$T/services.d
for i in 1 2 3 4 5 6 7 8; do ip addr add "fd00:1::1$i/128" dev lo; done
bg answer.log in_cg "$CG/server" python3 "$SRC/test/lib/answer.py" --port 7000 127.0.0.1{1..8} fd00:1::1{1..8}
wait_line 20 "$T/answer.log" ready

facts() {  # addresses
	{
		echo "services:"
		echo "- {name: sticky, addresses: [10.96.0.10, 10.96.0.11, \"fd00:96::10\"], cluster: app, sessionAffinity: {type: ClientIP, timeout: ${TIMEOUT:-600s}},"
		echo "   ports: [{port: 80, target: 7000}, {port: 53, target: 7000, protocol: UDP}]}"
		echo "clusters:"
		echo "- name: app"
		echo "  loadBalancer: random"
		echo "  endpoints:"
		local a
		for a in "$@"; do
			echo "  - {address: 127.0.0.$a}"
			echo "  - {address: \"fd00:1::$a\"}"
		done
		[ -z "${DRAINS:-}" ] || echo "  - {address: 127.0.0.$DRAINS, state: draining}"
	} | write_file "$D/app.yaml"
}
in_kernel() { [ "$(bpftool -j map dump pinned /sys/fs/bpf/weft/abi1/maps/backend_map | python3 -c '
import json, sys
print(sum(r["formatted"]["value"]["state"] == int(sys.argv[1]) for r in json.load(sys.stdin)))' "$1")" = "$2" ]; }
# Each backend is one entry for each port (TCP, UDP) of each family.
settle() { facts "$@"; wait_for 10 in_kernel 0 $(($# * 4)); }
dial() { in_cg "$CG/$1" python3 "$SRC/test/lib/dial.py" "${@:2}"; }
name() { cut -d' ' -f1 <<< "$1"; }

facts 11 12 13 14 15 16 17
cat > "$T/weft.yaml" <<YAML
kernel: {cgroup: $CG}
registries: [{name: files, type: file, path: $D}]
YAML
weftd_start
wait_for 10 in_kernel 0 28

first=$(dial a tcp 10.96.0.10 80 40)
is "$(wc -l <<< "$first")" 1 "one client has one backend in 40 connections"
BACK=$(name "$first")
is "$(name "$(dial a tcp 10.96.0.11 80 10)")" "$BACK" "at each address of the service"
is "$(name "$(dial a tcp ::ffff:10.96.0.10 80 10)")" "$BACK" "v4-mapped too"
is "$(dial a tcp fd00:96::10 80 40 | wc -l)" 1 "over IPv6 one, too"
is "$(dial a udp 10.96.0.10 53 40 | wc -l)" 1 "over UDP one, too"
for c in b c d e f g h i j k l m; do dial $c tcp 10.96.0.10 80 3; done > "$T/others"
is "$(wc -l < "$T/others")" 12 "each of twelve clients has one"
like "$(cut -d' ' -f1 "$T/others" | sort -u | wc -l)" '^[3-7]$' "and they are not all the same"
like "$(weft explain tcp 10.96.0.10:80 --from "$CG/a")" "^  choice +$BACK:7000" "explain says which, and why"
like "$(weft explain tcp 10.96.0.10:80 --from "$CG/a")" 'affinity' "explain names the reason"

# Pods are told apart by their namespace, wherever their processes are.
pod_add p
dial_pod() { in_cg "$1" nsenter --net=/run/netns/p python3 - <<-'PY'
	import dial
	s = dial.make("10.96.0.10", dial.UDP)
	s.connect(("10.96.0.10", 53))
PY
}
in_affinity() { bpftool -j map dump pinned /sys/fs/bpf/weft/abi1/maps/affinity_map | python3 -c 'import json,sys; print(len(json.load(sys.stdin)))'; }
before=$(in_affinity)
ok "a process of a pod dials" dial_pod "$CG/p/one"
ok "and one in another cgroup of it" dial_pod "$CG/p/two"
is "$(in_affinity)" $((before + 1)) "both are one client"

# Others come and go: it stays.
keep=()
for a in 11 12 13 14 15 16 17; do [ "127.0.0.$a" = "$BACK" ] || keep+=("$a"); done
mine=${BACK##*.}
settle "$mine" "${keep[0]}" 18
is "$(dial a tcp 10.96.0.10 80 20)" "$BACK 20" "five backends went and one came: it stays"
weftd_kill
is "$(dial a tcp 10.96.0.10 80 20)" "$BACK 20" "the agent is gone: it stays"
weftd_start
is "$(dial a tcp 10.96.0.10 80 20)" "$BACK 20" "another agent took over: it stays"
settle "$mine" "${keep[0]}" 18 "${keep[1]}" "${keep[2]}"
is "$(dial a tcp 10.96.0.10 80 20)" "$BACK 20" "and after its first change"

# Its own goes: another, and that one for good, also when the old one comes back.
settle "${keep[0]}" 18 "${keep[1]}"
second=$(dial a tcp 10.96.0.10 80 20)
is "$(wc -l <<< "$second")" 1 "its backend went: another one, for all that follow"
fails "not the one that is gone" grep -q "$BACK" <<< "$second"
settle "$mine" "${keep[0]}" 18 "${keep[1]}"
is "$(dial a tcp 10.96.0.10 80 20)" "$second" "the old one came back: it is not remembered"

# A draining one takes no new connections, also of those that had it.
STAYS=$(name "$second")
rest=()
for a in "$mine" "${keep[0]}" 18 "${keep[1]}"; do [ "127.0.0.$a" = "$STAYS" ] || rest+=("$a"); done
DRAINS=${STAYS##*.} facts "${rest[@]}"
wait_for 10 in_kernel 1 2
third=$(dial a tcp 10.96.0.10 80 20)
is "$(wc -l <<< "$third")" 1 "its backend drains: another one"
fails "not the draining one" grep -q "$STAYS" <<< "$third"

# Idle for longer than the timeout: any backend. A use renews it.
TIMEOUT=1s settle 11 12 13 14 15 16 17 18
in_cg "$CG/t" python3 - <<'PY'
import time
from dial import *
back, begin, used = None, 0, 0
while time.monotonic() - begin < 1.6:           # longer than the timeout, never idle for as long
    before, now = used, who("10.96.0.10", 80)
    used = time.monotonic()
    if used - before > 0.9:                     # it was, as at the start: a machine that stood still; from here again
        back, begin = now, used
    if now != back:
        raise AssertionError(f"moved from {back} to {now} after {used - begin:.2f} s of use")
print("  ok: a client in use stays beyond the timeout")
seen = {back}
for _ in range(8):                              # the chance to meet the same of eight each time: one in 16 million
    time.sleep(1.01)                            # the timeout itself, and a little
    seen.add(who("10.96.0.10", 80))
    if len(seen) > 1:
        break
assert len(seen) > 1, seen
print("  ok: an idle one is forgotten")
PY
reasons=$(weft kernel reasons)
like "$reasons" '^affinity +LB +[1-9]' "counted: affinity"
like "$reasons" '^affinity_stale +LB +[1-9]' "counted: stale affinity"
weftd_stop
