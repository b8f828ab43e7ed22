# SPDX-License-Identifier: Apache-2.0
# What bpftool shows of weft, for a small configuration, against the texts in golden/: maps and their entries with field
# names, programs, links, the cgroup tree. Numbers that differ from run to run are replaced (golden/normal.py).
# UPDATE=1 writes the texts again.
. "$(dirname "$0")/../lib/net.sh"

GOLDEN=$SRC/test/net/golden
cat > "$T/weft.yaml" <<YAML
kernel:
  cgroup: $CG
  maps: {frontends: 64, services: 32, backends: 64, slots: 128, sockets: 64, affinity: 32, workloads: 16}
services:
- {name: orders.shop, addresses: [10.96.0.11], cluster: orders, routes: [orders], failMode: closed, ports: [{port: 80}]}
- {name: web.default, addresses: [10.96.0.10, "fd00:96::10"], cluster: web, sessionAffinity: {type: ClientIP, timeout: 60s},
   ports: [{port: 80, target: 8080}, {port: 53, protocol: UDP}]}
clusters:
- {name: orders, endpoints: []}
- name: web
  loadBalancer: round-robin
  endpoints:
  - {address: 127.0.0.11, weight: 2}
  - {address: 127.0.0.12}
  - {address: 127.0.0.13, state: draining}
  - {address: "[fd00:1::11]:9090"}
routes: [{name: orders, rules: [{backends: [{cluster: orders}]}]}]
workloads:
- {name: client, cgroup: /client, identity: "spiffe://cluster.local/ns/default/sa/client", shortCircuit: {splice: never}}
- {name: left-alone, cgroup: /left-alone, connect: false}
YAML
mkdir -p "$CG/client" "$CG/left-alone"
weftd_start
judged() { admin /kernel | grep -q '"rung":"full"'; }
wait_for 30 judged
served() { weft kernel maps service_map | grep -q '"served": 1'; }
wait_for 30 served
# One TCP connect leaves an affinity, a turn and a count; nobody listens there.
python3 - "$CG/client" <<'PY' || true
import os, socket, sys
open(sys.argv[1] + "/cgroup.procs", "w").write(str(os.getpid()))
try:
    socket.create_connection(("10.96.0.10", 80), 2)
except ConnectionRefusedError:
    pass
PY

P=/sys/fs/bpf/weft/abi1
normal() { python3 "$GOLDEN/normal.py" "$1" "$CG"; }
mkdir "$T/golden"
for m in frontend_map service_map backend_map workload_map table_map ctl_map affinity_map rr_map svc_stat_map wait_map pair_map; do
	echo "# bpftool map dump pinned $P/maps/$m"
	bpftool map dump pinned "$P/maps/$m" | normal entries
done > "$T/golden/entries.txt"
for f in "$P"/maps/*; do bpftool map show pinned "$f"; done | normal maps > "$T/golden/maps.txt"
for f in "$P"/progs/*; do bpftool prog show pinned "$f"; done | normal progs > "$T/golden/progs.txt"
for f in "$P"/links/*; do bpftool link show pinned "$f"; done | normal links > "$T/golden/links.txt"
bpftool cgroup tree "$CG" | normal tree > "$T/golden/cgroup_tree.txt"
(cd /sys/fs/bpf && find weft | sort) > "$T/golden/pins.txt"

for f in "$T"/golden/*.txt; do
	name=$(basename "$f")
	[ -z "${UPDATE:-}" ] || cp "$f" "$GOLDEN/$name"
	ok "$name is as committed" diff -u "$GOLDEN/$name" "$f"
done

# Names are short enough for every tool that shows them.
ok "map names have at most 15 letters" test "$(find "$P/maps" -type f -printf '%f\n' | awk 'length > 15' | wc -l)" = 0
for f in "$P"/maps/*; do
	case $(basename "$f") in event_map | beat_map | sock_map) continue ;; esac
	bpftool -j map show pinned "$f" | grep -q '"btf_id":[1-9]' || fail "$(basename "$f") has no BTF"
done
echo "  ok: maps have types"
weftd_stop
