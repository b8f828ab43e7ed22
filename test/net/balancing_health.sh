#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A host whose checks fail gets no new connections from the kernel side either, and gets them again when it is well.
. "$(dirname "$0")/../lib/net.sh"
export PYTHONPATH=$SRC/test/lib PYTHONDONTWRITEBYTECODE=1

up() {  # ADDRESS: a server there; its PID in $UP
	bg "answer-$1.log" in_cg "$CG/server" python3 "$SRC/test/lib/answer.py" --port 7000 "$1"
	UP=$BG_PID
	wait_line 20 "$T/answer-$1.log" ready
}
cat > "$T/weft.yaml" <<YAML
kernel: {cgroup: $CG}
services:
- {name: web, addresses: [10.96.0.10], cluster: web, ports: [{port: 80}]}
clusters:
- name: web
  loadBalancer: round-robin
  panicThreshold: 10
  healthCheck: {type: tcp, interval: 100ms, timeout: 5s, unhealthyThreshold: 2, healthyThreshold: 1}
  endpoints: [{address: "127.0.0.1:7000"}, {address: "127.0.0.2:7000"}, {address: "127.0.0.3:7000"}]
YAML
up 127.0.0.1
up 127.0.0.2
second=$UP
up 127.0.0.3
weftd_start
who() { in_cg "$CG/client" python3 "$SRC/test/lib/dial.py" tcp 10.96.0.10 80 12 | sed 's/127.0.0.//; s/ .*//' | xargs; }
goes() { [ "$(who)" = "$1" ]; }
health() { admin /clusters | python3 -c 'import json, sys
print(*(h["health"] for h in json.load(sys.stdin)["clusters"][0]["hosts"]), sep=",")'; }
says() { [ "$(health)" = "$1" ]; }
wait_for 20 says healthy,healthy,healthy
is "$(who)" "1 2 3" "all are well"
kill "$second"
wait_for 20 says "healthy,unhealthy: Connection refused,healthy"
wait_for 20 goes "1 3"
echo "  ok: one is down: the kernel leaves it out"
weft clusters | grep -q 'unhealthy: Connection refused' || fail "weft clusters does not say so"
number=$(admin /snapshot | python3 -c 'import json, sys; print(json.load(sys.stdin).get("number"))')
up 127.0.0.2
wait_for 20 goes "1 2 3"
is "$(admin /snapshot | python3 -c 'import json, sys; print(json.load(sys.stdin).get("number"))')" "$number" "states make no snapshot"
admin /metrics > "$T/metrics"
grep -q '^weft_health_turns_total [2-9]' "$T/metrics" || fail "the turns are not counted: $(grep weft_health "$T/metrics")"
grep -q '^weft_health_checked 3' "$T/metrics" || fail "the hosts are not counted"
weftd_stop
