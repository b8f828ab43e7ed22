# SPDX-License-Identifier: Apache-2.0
# Maps that are too small: what does not fit is a counter, a line of the log and a degraded readiness, never silence;
# everything that fits works, and all is well again as soon as there is room.
. "$(dirname "$0")/../lib/net.sh"
export PYTHONPATH=$SRC/test/lib PYTHONDONTWRITEBYTECODE=1

D=$T/services.d
pod_add client
pod_add server
bg answer.log in_pod server python3 "$SRC/test/lib/answer.py" --port 7000 10.244.0.2
wait_line 20 "$T/answer.log" ready
cat > "$T/weft.yaml" <<YAML
kernel:
  cgroup: $CG
  maps: {frontends: 24, services: 20, backends: 32, slots: 512, sockets: 16, affinity: 16, workloads: 16}
registries: [{name: files, type: file, path: $D}]
YAML
cat > "$T/facts.py" <<'PY'
import json, sys
# facts.py SERVICES ADDRESSES-EACH ENDPOINTS-EACH WEIGHT WORKLOADS: JSON is YAML
services, addresses, endpoints, weight, workloads = map(int, sys.argv[1:])
print(json.dumps({
    "services": [{"name": f"s{i:02}", "addresses": [f"10.96.{a}.{i + 1}" for a in range(addresses)], "cluster": f"c{i:02}",
                  "ports": [{"port": 80}]} for i in range(services)],
    "clusters": [{"name": f"c{i:02}", "loadBalancer": "random", "endpoints":
                  [{"address": "10.244.0.2:7000", "weight": weight}] +
                  [{"address": f"10.0.{i}.{e + 1}:7000", "weight": 1, "state": "ready" if weight > 1 else "draining"}
                   for e in range(endpoints - 1)]} for i in range(services)],
    "workloads": [{"name": "client", "cgroup": "/client", "shortCircuit": {"splice": "never"}},
                  {"name": "server", "cgroup": "/server", "shortCircuit": {"splice": "never"}}] +
                 [{"name": f"w{i:02}", "cgroup": f"/w{i:02}"} for i in range(workloads)],
}))
PY
facts() { python3 "$T/facts.py" "$@" | write_file "$D/all.yaml"; }
for ((i = 0; i < 20; i++)); do mkdir -p "$CG/w$(printf %02d "$i")"; done
dial() { in_pod client python3 "$SRC/test/lib/dial.py" tcp "$@"; }
metric() { admin /metrics | sed -n "s/^weft_kernel_$1\(_total\)\? //p"; }
kernel_says() { admin /ready | python3 -c '
import json, sys
for c in json.load(sys.stdin)["conditions"]:
    if c["name"] == sys.argv[1]: print("" if c["ok"] else c["message"])' "${1:-kernel}"; }
unwell() { [ -n "$(kernel_says)" ]; }

facts 4 1 1 1 0
weftd_start
full() { admin /kernel | grep -q '"rung":"full"'; }
wait_for 30 full
is "$(kernel_says)" "" "all fits"
is "$(dial 10.96.0.4 80)" "10.244.0.2 1" "and works"

over() {  # what, words of readiness, counter, facts...
	local before what=$1
	before=$(metric "$3")
	facts "${@:4}"
	wait_for 10 unwell
	like "$(kernel_says)" "$2" "$what: readiness says it"
	is "$(admin_status /ready)" 503 "$what: readiness is degraded"
	like "$(($(metric "$3") - before))" '^[1-9]' "$what: $3 counts it"
	like "$(weft status)" '^kernel +(no|NO)' "$what: weft status says it"
	is "$(dial 10.96.0.1 80)" "10.244.0.2 1" "$what: what fits works"
	facts 4 1 1 1 0
	wait_for 10 weftd_ready
	is "$(metric stale)" 0 "$what: with room again, nothing is behind"
	is "$(dial 10.96.0.4 80)" "10.244.0.2 1" "$what: and all works"
}
over "too many services" '[0-9]+ services are behind the snapshot; s[0-9]+ port 80: .*service' map_full 24 1 1 1 0
over "too many addresses" 'services are behind the snapshot; .* frontend_map' map_full 4 10 1 1 0
over "too many backends" 'services are behind the snapshot; .*backend' map_full 4 1 12 1 0
over "too many slots" 'services are behind the snapshot; .*table' table_full 10 1 3 99 0
over "too many workloads" 'workloads? .*workload_map' write_errors 4 1 1 1 20
like "$(grep -c 'ERR\|error' "$T/weftd.log")" '^[1-9]' "the log has error lines"
like "$(cat "$T/weftd.log")" 'workload_map' "the log names the map"

# More connections than the short-circuit has room for: they work, by the TCP stack; it is counted and said.
is "$(kernel_says insertions)" "" "no insertion has failed yet"
in_pod client python3 - <<'PY'
from dial import *
socks = [dial("10.96.0.1", 80) for _ in range(60)]
assert {said(s) for s in socks} == {"10.244.0.2"}
print("  ok: 60 connections work where 16 sockets have room")
PY
insertions() { [ -n "$(kernel_says insertions)" ]; }
wait_for 5 insertions
like "$(kernel_says insertions)" '^[0-9]+ in all, the last one: (sockhash|connection-state map) full' "readiness says it"
like "$(weft kernel reasons)" '^(pair|socks)_full +ERR +[1-9]' "its reason counts it"
wait_line 5 "$T/weftd.log" '(sockhash|connection-state map) full'
is "$(dial 10.96.0.1 80 5)" "10.244.0.2 5" "connections go on working"
weftd_stop
