# SPDX-License-Identifier: Apache-2.0
# The agent may stop, be killed and start again: links, programs and maps stay the same objects, ids stay, and a client
# that never pauses notices nothing.
. "$(dirname "$0")/../lib/net.sh"
export PYTHONPATH=$SRC/test/lib PYTHONDONTWRITEBYTECODE=1

D=$T/services.d
pod_add client
pod_add server
ip -n server addr add 10.244.0.102/24 dev eth0
bg answer.log in_pod server python3 "$SRC/test/lib/answer.py" --port 7000 10.244.0.2 10.244.0.102
serve server echo --tcp 7777 --mode echo
wait_line 20 "$T/answer.log" ready
facts() {
	{
		echo "services:"
		echo "- {name: app, addresses: [10.96.0.10], cluster: app, ports: [{port: 80}, {port: 53, protocol: UDP}]}"
		echo "- {name: sticky, addresses: [10.96.0.11], cluster: app, ports: [{port: 80}], sessionAffinity: {type: ClientIP}}"
		echo "- {name: echo, addresses: [10.96.0.12], cluster: echo, ports: [{port: 7}]}"
		echo "clusters:"
		echo "- {name: echo, endpoints: [{address: \"10.244.0.2:7777\"}]}"
		echo "- name: app"
		echo "  endpoints:"
		for a in "$@"; do echo "  - {address: \"$a:7000\"}"; done
	} | write_file "$D/app.yaml"
}
facts 10.244.0.2 10.244.0.102
cat > "$T/weft.yaml" <<YAML
kernel: {cgroup: $CG}
workloads:
- {name: client, cgroup: /client, shortCircuit: {splice: never}}
- {name: server, cgroup: /server, shortCircuit: {splice: never}}
registries: [{name: files, type: file, path: $D}]
YAML
weftd_start
full() { admin /kernel | grep -q '"rung":"full"'; }
wait_for 30 full
P=/sys/fs/bpf/weft/abi1
# explain_decide is attached to nothing: each agent loads its own.
ids() { python3 "$SRC/test/lib/pins.py" ids "$P" | grep -v explain_decide; }
entries() { python3 "$SRC/test/lib/pins.py" entries "$P" service_map backend_map frontend_map workload_map; }
loaded() { admin /kernel | python3 -c 'import json,sys; print(json.load(sys.stdin)["loaded"])'; }
dial() { in_pod client python3 "$SRC/test/lib/dial.py" "$@"; }
metric() { admin /metrics | sed -n "s/^weft_kernel_$1\(_total\)\? //p"; }

is "$(loaded)" fresh "the first one loads"
ids > "$T/ids.1"
entries > "$T/entries.1"
like "$(grep -c '^links ' "$T/ids.1")" '^1[0-9]$' "its links are pinned"
sticky=$(dial tcp 10.96.0.11 80)
bg steady.log in_pod client python3 "$SRC/test/lib/steady.py" 10.96.0.10 80 --udp 53 --stream 10.96.0.12 7
STEADY=$BG_PID
wait_line 20 "$T/steady.log" running

same() {
	ids > "$T/ids.2"
	entries > "$T/entries.2"
	ok "$1: the same links, programs and maps" diff "$T/ids.1" "$T/ids.2"
	ok "$1: the same entries with the same ids" diff "$T/entries.1" "$T/entries.2"
	is "$(dial tcp 10.96.0.11 80)" "$sticky" "$1: affinity holds"
}
weftd_stop
same "stopped"
weftd_start
is "$(loaded)" adopted "the second one adopts"
same "started again"
wait_for 30 full
same "and judged again"
is "$(metric programs_replaced)" 0 "no program was replaced"
is "$(metric maps_created)" 0 "no map was made"
weftd_kill
same "killed"
weftd_start
is "$(loaded)" adopted "the third one adopts"
same "started after a kill"
wait_for 30 full

# What changed while nobody watched is put in step at the start, before anything else.
weftd_kill
facts 10.244.0.102
weftd_start
is "$(dial tcp 10.96.0.10 80 20)" "10.244.0.102 20" "a backend that went meanwhile is not used by the next one"
like "$(dial tcp 10.96.0.11 80 5)" '^10.244.0.102 5$' "nor by affinity"

# Killed at any instant of its start: the next one finds its way.
for i in 1 2 3 4 5; do
	weftd_kill
	bg weftd.log in_cg "$CG/weftd" "$B/weftd" -c "$T/weft.yaml"
	pause "0.0$((i * 2 - 1))"
	kill -KILL "$BG_PID"
	wait "$BG_PID" 2> /dev/null || true
	facts 10.244.0.2 10.244.0.102
	weftd_start
done
wait_for 30 full
# By least-request, beside a client whose own connections may keep step with ours for a while.
both_used() { grep -qE '^10.244.0.102 [0-9]+ 10.244.0.2 [0-9]+$' <<< "$(dial tcp 10.96.0.10 80 40 | xargs)"; }
wait_for 30 both_used
ok "killed five times while starting: both backends are used" true

kill -TERM "$STEADY"
wait "$STEADY" || fail "the client noticed: $(cat "$T/steady.log")"
like "$(cat "$T/steady.log")" '^connects [0-9]{3,} datagrams [0-9]{3,} stream [0-9]{5,} bytes, failed 0$' "a client that never pauses noticed nothing"
tail -n 2 "$T/steady.log"
weftd_stop
