#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Namespaces of pods are found when their cgroups are made, before anybody dials; and what is beyond proxy.namespaces is said.
. "$(dirname "$0")/../lib/net.sh"

# So many workloads that looking at all of them in turn takes minutes: it is not that which finds a pod here.
{
	echo "kernel: {cgroup: $CG}"
	echo 'workers: 1'
	echo 'proxy: {namespaces: 2}'
	echo 'services: [{name: shop, addresses: [10.96.0.10], ports: [{port: 80}], cluster: a, routes: [r]}]'
	echo 'routes: [{name: r, rules: [{backends: [{cluster: a}]}]}]'
	echo 'clusters: [{name: a, endpoints: [{address: "10.244.0.9:9001"}]}]'
	echo 'workloads:'
	for i in $(seq 3000); do echo "- {name: none-$i, cgroup: /none/$i}"; done
	echo '- {name: late, cgroup: /late/pod}'
	echo '- {name: child, cgroup: /child}'
	echo '- {name: third, cgroup: /third}'
} > "$T/weft.yaml"
mkdir -p "$CG/child"
bg here.log in_cg "$CG/child" sleep infinity    # of the node's own namespace: the cgroup has its first process
weftd_start
if admin /stats | grep -q '"namespaces": *0' && ! weft listeners | grep -q '^outbound '; then skip "services with routes are not sent to the proxy here"; fi
known() { [ "$(metric weft_pods_namespaces)" = "$1" ]; }
in_ns() { local cg=$1; shift; bg "$1.log" in_cg "$CG/$cg" unshare --net -- sleep infinity; }

# Nothing of it was there: the cgroup above is made first, and the process comes after it.
mkdir "$CG/late"
mkdir "$CG/late/pod"
in_ns late/pod late
LATE=$BG_PID
wait_for 60 known 1
wait_line 60 "$T/weftd.log" 'network namespace of workload late'
echo "  ok: a cgroup that is made later"

# The workload has processes already: one more in a cgroup below.
mkdir "$CG/child/container"
in_ns child/container child
wait_for 60 known 2
echo "  ok: a cgroup below one that has processes already"
is "$(metric weft_pods_unseen_total)" 0 "nobody had to dial for it"
ok "two are as many as may be" weftd_ready

# One beyond.
mkdir "$CG/third"
in_ns third third
unready() { [ "$(admin_status /ready)" = 503 ]; }
wait_for 60 unready
like "$(admin /ready)" '"namespaces","ok":false,"message":"2 of workloads, at most 2 .proxy.namespaces.' "a third one: /ready says so"
like "$(cat "$T/weftd.log")" 'error +third: more than 2 network namespaces' "the log"
[ "$(metric weft_pods_full_total)" -ge 1 ] || fail "it is not counted"
kill "$LATE"
wait_for 60 weftd_ready
wait_for 60 known 2
wait_line 60 "$T/weftd.log" 'network namespace of workload third'
echo "  ok: and has its place when another goes"
weftd_stop
