# SPDX-License-Identifier: Apache-2.0
# 200 random changes of the facts while connections are made, and kill -9 in between: the orphan sweep finds nothing, the
# maps hold exactly what the facts say, and no connection goes where it should not.
. "$(dirname "$0")/../lib/net.sh"
export PYTHONPATH=$SRC/test/lib PYTHONDONTWRITEBYTECODE=1

D=$T/services.d
mkdir -p "$D"
# shellcheck disable=SC2046
bg answer.log in_cg "$CG/server" python3 "$SRC/test/lib/answer.py" --port 7000 $(seq -f '127.0.2.%.0f' 1 20)
cat > "$T/weft.yaml" <<YAML
kernel: {cgroup: $CG}
registries: [{name: files, type: file, path: $D}]
services: [{name: steady, addresses: [10.96.9.9], cluster: steady, ports: [{port: 80}, {port: 53, protocol: UDP}]}]
clusters: [{name: steady, endpoints: [{address: "127.0.2.20:7000"}]}]
YAML
wait_line 20 "$T/answer.log" ready
weftd_start
metric() { admin /metrics | sed -n "s/^weft_kernel_$1\(_total\)\? //p"; }
bg steady.log in_cg "$CG/client" python3 "$SRC/test/lib/steady.py" 10.96.9.9 80 --udp 53
STEADY=$BG_PID
wait_line 20 "$T/steady.log" running

cat > "$T/churn.py" <<'PY'
import json, os, random, sys
from dial import *
folder, seed, n = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rnd = random.Random(seed)
ALGO = ("random", "round-robin", "maglev", "least-request")
def file_of(i):
    clusters = rnd.randint(1, 2)
    return {"clusters": [{"name": f"c{i}-{c}", "loadBalancer": rnd.choice(ALGO), "endpoints":
                          [{"address": f"127.0.2.{e}", "weight": rnd.randint(0, 5), "state": rnd.choice(("ready", "ready", "draining"))}
                           for e in rnd.sample(range(1, 20), rnd.randint(0, 8))]} for c in range(clusters)],
            "services": [{"name": f"s{i}-{k}", "addresses": [f"10.96.{i}.{k}"] + ([f"fd00:96::{i}:{k}"] if rnd.random() < .3 else []),
                          "sessionAffinity": {"type": rnd.choice(("None", "ClientIP"))},
                          "ports": [{"port": p, "target": 7000, "protocol": rnd.choice(("TCP", "UDP")), "cluster": f"c{i}-{rnd.randrange(clusters)}"}
                                    for p in rnd.sample((80, 81, 82), rnd.randint(1, 3))]} for k in range(rnd.randint(1, 4))]}
outcome = collections.Counter()
for step in range(n):
    i = rnd.randrange(8)
    path = f"{folder}/f{i}.yaml"
    if rnd.random() < .2 and os.path.exists(path):
        os.unlink(path)
    else:
        with open(f"{folder}/.new~", "w") as f:
            json.dump(file_of(i), f)
        os.rename(f"{folder}/.new~", path)
    for _ in range(3):
        got = who(f"10.96.{rnd.randrange(8)}.{rnd.randrange(4)}", rnd.choice((80, 81, 82)), rnd.choice((TCP, UDP)))
        outcome["answered" if got.startswith("127.0.2.") else got] += 1
print("  outcomes:", dict(outcome))
assert outcome["answered"] > n / 5, outcome
PY
churn() { in_cg "$CG/client" python3 "$T/churn.py" "$D" "$@"; }

# What the maps hold against what the files say, address by address.
cat > "$T/compare.py" <<'PY'
import glob, ipaddress, json, socket, subprocess, sys
folder = sys.argv[1]
want, services, clusters = {}, [], {}
for path in glob.glob(f"{folder}/*.yaml"):
    d = json.load(open(path))
    services += d["services"]
    clusters |= {c["name"]: c["endpoints"] for c in d["clusters"]}
for s in services:
    for a in s["addresses"]:
        for p in s["ports"]:
            v6 = ":" in a
            hosts = sorted(e["address"] for e in clusters[p["cluster"]] if not v6)
            want[a, p["port"], p["protocol"]] = hosts
def entries(name):
    out = subprocess.check_output(["bpftool", "-j", "map", "dump", "pinned", f"/sys/fs/bpf/weft/abi1/maps/{name}"])
    return [(r["key"], r["value"], r["formatted"]) for r in json.loads(out)]
raw = lambda v: bytes(int(x, 16) for x in v)
def address(b):
    six = ipaddress.IPv6Address(b)
    return str(six.ipv4_mapped or six)
back = {}
for key, value, f in entries("backend_map"):
    back.setdefault(f["value"]["service"], []).append(address(raw(value[:16])))
have = {}
ids = set()
for key, value, f in entries("frontend_map"):
    k, at = raw(key), f["value"]["service"]
    ids.add(at)
    name = address(k[:16]), int.from_bytes(k[16:18], "big"), {6: "TCP", 17: "UDP"}[k[18]]
    if name[0] != "10.96.9.9":
        have[name] = sorted(back.get(at, []))
norm = lambda d: {(str(ipaddress.ip_address(a)), p, q): v for (a, p, q), v in d.items()}
want, have = norm(want), norm(have)
assert set(want) == set(have), (set(want) ^ set(have))
for k in want:
    assert want[k] == have[k], (k, want[k], have[k])
in_map = {f["key"] for _, _, f in entries("service_map")}
assert in_map == ids, (in_map ^ ids)
print(f"  ok: {len(want)} addresses lead exactly where {len(services)} services say")
PY
in_step() { [ "$(metric stale)" = 0 ] && python3 "$T/compare.py" "$D"; }
# A full round that began after now.
swept() { [ "$(metric sweeps)" -ge "$1" ]; }
sweep() {
	wait_for 30 swept $(($(metric sweeps) + 2))
	local kind
	for kind in frontends services backends slots pairs affinity; do
		is "$(metric "orphan_$kind")" 0 "$1: no orphans among $kind"
	done
	is "$(metric orphans_repaired)" 0 "$1: and none had to be repaired"
}

churn 1 200
wait_for 10 in_step
python3 "$T/compare.py" "$D"
sweep "after 200 changes"

# Killed in the middle of changes, five times.
for seed in 2 3 4 5 6; do
	churn "$seed" 15 &
	CHURN=$!
	pause "0.0$((seed * 2 - 3))"
	weftd_kill
	wait "$CHURN" || true
	weftd_start
done
wait_for 10 in_step
python3 "$T/compare.py" "$D"
sweep "killed in the middle of changes"
kill -TERM "$STEADY"
wait "$STEADY" || fail "a service that nobody touched was disturbed: $(cat "$T/steady.log")"
like "$(cat "$T/steady.log")" '^connects [0-9]{3,} datagrams [0-9]{3,} .*failed 0$' "a service that nobody touched was not disturbed"
weftd_stop
