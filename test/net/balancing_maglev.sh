# SPDX-License-Identifier: Apache-2.0
# Maglev over 100 backends: real connections go where explain says, and one backend's end moves few others.
. "$(dirname "$0")/../lib/net.sh"
export PYTHONPATH=$SRC/test/lib PYTHONDONTWRITEBYTECODE=1

D=$T/services.d
mapfile -t ALL < <(for ((i = 1; i <= 100; i++)); do echo "127.0.1.$i"; done)
bg answer.log in_cg "$CG/server" python3 "$SRC/test/lib/answer.py" --port 7000 "${ALL[@]}"
facts() {
	{
		echo "services: [{name: ring, addresses: [10.96.0.10], cluster: ring, ports: [{port: 80}]}]"
		echo "clusters:"
		echo "- name: ring"
		echo "  loadBalancer: maglev"
		echo "  endpoints:"
		for a in "$@"; do echo "  - {address: \"$a:7000\"}"; done
	} | write_file "$D/ring.yaml"
}
facts "${ALL[@]}"
cat > "$T/weft.yaml" <<YAML
kernel: {cgroup: $CG, maps: {slots: 65536}}
registries: [{name: files, type: file, path: $D}]
YAML
for ((i = 0; i < 60; i++)); do mkdir -p "$CG/client-$i"; done
weftd_start
wait_line 20 "$T/answer.log" ready

# The whole table, which is every client's answer: a line "SLOT BACKEND-ID" each.
table() {
	bpftool -j map dump pinned /sys/fs/bpf/weft/abi1/maps/service_map > "$T/service.json"
	bpftool -j map dump pinned /sys/fs/bpf/weft/abi1/maps/table_map > "$T/table.json"
	python3 - "$T" <<-'PY'
	import json, sys
	def rows(name):
	    return [(r["formatted"]["key"], r["formatted"]["value"]) for r in json.load(open(f"{sys.argv[1]}/{name}.json"))]
	(_, svc), = rows("service")
	slots = [s for _, row in rows("table") for s in row["slot"]]
	for i in range(svc["n"]):
	    print(i, slots[svc["off"] + i])
	PY
}
table > "$T/table.before"

# Where 60 clients, each a cgroup of its own, are sent: by connect(), and by explain.
cat > "$T/clients.py" <<'PY'
import json, os, subprocess, sys
from dial import *
cg, weft = sys.argv[1:3]
home = cg + "/client"
def enter(path):
    with open(f"{path}/cgroup.procs", "w") as f:
        f.write(str(os.getpid()))
for i in range(60):
    enter(f"{cg}/client-{i}")
    got = who("10.96.0.10", 80)
    enter(home)
    said = json.loads(subprocess.check_output(
        [weft, "explain", "tcp", "10.96.0.10:80", "--from", f"{cg}/client-{i}", "-o", "json"]))
    assert said["choice"]["address"] == f"{got}:7000", (i, got, said["choice"])
    print(i, got)
PY
in_cg "$CG/client" python3 "$T/clients.py" "$CG" "$B/weft" > "$T/clients.before"
like "$(cut -d' ' -f2 "$T/clients.before" | sort -u | wc -l)" '^(3[0-9]|4[0-9]|5[0-9])$' "60 clients are spread over the backends, as explain says"

GONE=$(awk 'NR == 1 {print $2}' "$T/clients.before")
# shellcheck disable=SC2046
facts $(printf '%s\n' "${ALL[@]}" | grep -vFx "$GONE")
in_kernel() { [ "$(bpftool -j map dump pinned /sys/fs/bpf/weft/abi1/maps/backend_map | python3 -c 'import json,sys; print(len(json.load(sys.stdin)))')" = "$1" ]; }
wait_for 10 in_kernel 99
table > "$T/table.after"

python3 - "$T" <<'PY'
import sys
from dial import *
read = lambda name: [line.split()[1] for line in open(f"{sys.argv[1]}/{name}")]
before, after = read("table.before"), read("table.after")
assert len(before) == len(after), (len(before), len(after))
gone = set(before) - set(after)
check("one backend left the table", len(gone), 1)
lost = sum(b in gone for b in before)
moved = sum(b != a for b, a in zip(before, after))
n = len(before)
assert moved <= 2 * n / 100, f"{moved} of {n} slots moved; {lost} had to; at most {2 * n // 100} may"
print(f"  ok: {moved} of {n} slots moved, {lost} of them had to: at most twice one hundredth")
shares = collections.Counter(before)
assert max(shares.values()) <= 1.05 * min(shares.values()), (min(shares.values()), max(shares.values()))
print(f"  ok: shares differ by less than 5 %: {min(shares.values())} to {max(shares.values())} slots")
PY
in_cg "$CG/client" python3 "$T/clients.py" "$CG" "$B/weft" > "$T/clients.after"
python3 - "$T" "$GONE" <<'PY'
import sys
read = lambda name: [line.split()[1] for line in open(f"{sys.argv[1]}/{name}")]
before, after = read("clients.before"), read("clients.after")
assert sys.argv[2] not in after
moved = sum(b != a for b, a in zip(before, after) if b != sys.argv[2])
assert moved <= 3, f"{moved} of 60 clients moved though their backend stayed"
print(f"  ok: {moved} of 60 clients moved though their backend stayed")
PY
weftd_stop
