# SPDX-License-Identifier: Apache-2.0
# Who gets how many connections: each algorithm, weights, draining and weight 0, IPv4, IPv6 and v4-mapped, TCP and UDP.
. "$(dirname "$0")/../lib/net.sh"
export PYTHONPATH=$SRC/test/lib PYTHONDONTWRITEBYTECODE=1

for i in 1 2 3 4 5 6; do ip addr add "fd00:1::1$i/128" dev lo; done
bg answer.log in_cg "$CG/server" python3 "$SRC/test/lib/answer.py" --port 7000 \
	127.0.0.1{1..6} fd00:1::1{1..6}
wait_line 20 "$T/answer.log" ready

endpoints() {  # weights of 11..14; 15 is draining, 16 has weight 0
	local fmt=$1 i=1 w
	for w in $2; do
		printf "    - {address: \"$fmt\", weight: %s}\n" "1$i" "$w"
		i=$((i + 1))
	done
	printf "    - {address: \"$fmt\", weight: 4, state: draining}\n" 15
	printf "    - {address: \"$fmt\", weight: 0}\n" 16
}
{
	echo "kernel: {cgroup: $CG}"
	echo "services:"
	n=10
	for algo in random round-robin least-request maglev; do
		echo "- {name: $algo, addresses: [10.96.0.$n, \"fd00:96::$n\"], cluster: $algo,"
		echo "   ports: [{port: 80, target: 7000}, {port: 53, target: 7000, protocol: UDP}]}"
		n=$((n + 1))
	done
	echo "clusters:"
	for algo in random round-robin least-request maglev; do
		echo "- name: $algo"
		echo "  loadBalancer: $algo"
		echo "  endpoints:"
		endpoints '127.0.0.%s:7000' "1 2 3 4"
		endpoints '[fd00:1::%s]:7000' "1 2 3 4"
	done
} > "$T/weft.yaml"
weftd_start

in_cg "$CG/client" python3 - <<PY
from dial import *
w4 = {f"127.0.0.1{i}": i for i in (1, 2, 3, 4)} | {"127.0.0.15": 0, "127.0.0.16": 0}
w6 = {f"fd00:1::1{i}": i for i in (1, 2, 3, 4)} | {"fd00:1::15": 0, "fd00:1::16": 0}

check_shares("random, TCP over IPv4", many("10.96.0.10", 80, 3000), w4)
check_shares("random, TCP over IPv6", many("fd00:96::10", 80, 1000), w6)
check_shares("random, TCP over v4-mapped", many("::ffff:10.96.0.10", 80, 1000), w4)
check_shares("random, connected UDP", many("10.96.0.10", 53, 1000, UDP), w4)
check_shares("random, connected UDP over IPv6", many("fd00:96::10", 53, 1000, UDP), w6)
check_shares("random, connected UDP over v4-mapped", many("::ffff:10.96.0.10", 53, 1000, UDP), w4)

# Ten slots for weights 1 to 4: every ten turns in a row are exact.
for address, w in (("10.96.0.11", w4), ("fd00:96::11", w6)):
    for port, kind in ((80, TCP), (53, UDP)):
        turns = [who(address, port, kind) for _ in range(50)]
        for at in range(0, 41):
            counts = collections.Counter(turns[at:at + 10])
            assert all(counts[k] == n for k, n in w.items()), (address, at, counts)
print("  ok: round robin is exact in every ten turns in a row")

# Connections that stay: every further one goes to the lighter of two, so shares are tighter than chance.
held = [dial("10.96.0.12", 80) for _ in range(500)]
counts = collections.Counter(said(s) for s in held)
for k, n in w4.items():
    assert abs(counts[k] - 50 * n) <= 20, f"least-request: {dict(counts)} for {w4}"
print("  ok: least-request: held connections follow the weights", dict(sorted(counts.items())))
for s in held:
    s.close()

# One client is one place on the ring.
check("maglev: one client has one backend", len(many("10.96.0.13", 80, 50)), 1)
check("and the same by UDP at its own service entry", len(many("10.96.0.13", 53, 50, UDP)), 1)
PY

open_of() { weft explain tcp 10.96.0.12:80 -o json | python3 -c 'import json,sys; print(sum(b["open"] for b in json.load(sys.stdin)["backends"]))'; }
is "$(open_of)" 0 "closed connections are counted no more"

# What explain draws is what connect() draws.
weft explain tcp 10.96.0.10:80 --from "$CG/client" --sample 5000 -o json > "$T/sample.json"
python3 - "$T/sample.json" <<PY
import json, sys
from dial import *
d = json.load(open(sys.argv[1]))
address = {str(b["id"]): b["address"].rsplit(":", 1)[0] for b in d["backends"]}
counts = collections.Counter({address[i]: n for i, n in d["sample"]["picked"].items()})
w4 = {f"127.0.0.1{i}": i for i in (1, 2, 3, 4)} | {"127.0.0.15": 0, "127.0.0.16": 0}
check("explain's sample has the size asked for", sum(counts.values()), 5000)
check_shares("explain --sample", counts, w4)
PY
# Of round robin the turns that come next: whole rounds of a table of ten slots are exact.
is "$(weft explain tcp 10.96.0.11:80 --from "$CG/client" --sample 1000 | awk '$1 ~ /^127/ {print $NF}' | sort -n | xargs)" \
	"0 0 100 200 300 400" "explain --sample shows round robin's next turns"
weftd_stop
