# SPDX-License-Identifier: Apache-2.0
# 10,000 services of 10 backends: all of them are right, and a change of one endpoint
# is with the next connection at once.
. "$(dirname "$0")/../lib/net.sh"
export PYTHONPATH=$SRC/test/lib PYTHONDONTWRITEBYTECODE=1

D=$T/services.d
# shellcheck disable=SC2046
bg answer.log in_cg "$CG/server" python3 "$SRC/test/lib/answer.py" --port 7000 $(seq -f '127.0.2.%.0f' 1 200)
cat > "$T/make.py" <<'PY'
import sys
# Service i is 10.100.0.0 + i; its backends are ten of the 200 that listen, from i * 7 on. A file has 100 services.
for first in range(0, 10000, 100):
    with open(f"{sys.argv[1]}/s{first:05}.yaml", "w") as f:
        f.write("services:\n")
        for i in range(first, first + 100):
            f.write(f"- {{name: s{i}, addresses: [10.100.{i >> 8}.{i & 255}], cluster: c{i}, ports: [{{port: 80}}]}}\n")
        f.write("clusters:\n")
        for i in range(first, first + 100):
            ends = ", ".join(f'{{address: "127.0.2.{1 + (i * 7 + k) % 200}:7000"}}' for k in range(10))
            f.write(f"- {{name: c{i}, loadBalancer: random, endpoints: [{ends}]}}\n")
PY
mkdir -p "$D"
python3 "$T/make.py" "$D"
cat > "$T/weft.yaml" <<YAML
kernel: {cgroup: $CG}
registries: [{name: files, type: file, path: $D}]
YAML
wait_line 20 "$T/answer.log" ready
weftd_start
metric() { admin /metrics | sed -n "s/^weft_kernel_$1\(_total\)\? //p"; }
is "$(metric services) $(metric backends) $(metric stale)" "10000 100000 0" "10,000 services and 100,000 backends are in the kernel"

cat > "$T/client.py" <<'PY'
import random, sys, time
from dial import *
rnd = random.Random(1)
address = lambda i: f"10.100.{i >> 8}.{i & 255}"
some = [0, 9999] + rnd.sample(range(10000), int(sys.argv[1]))
for i in some:
    got = who(address(i), 80)
    want = {f"127.0.2.{1 + (i * 7 + k) % 200}" for k in range(10)}
    assert got in want, (i, got)
print(f"  ok: {len(some)} of them, each led to one of its own ten", flush=True)
weights = {f"127.0.2.{1 + (4242 * 7 + k) % 200}": 1 for k in range(10)} | dict.fromkeys(sys.argv[2:], 0)
check_shares("one of them, 2,000 connections", many(address(4242), 80, 2000), weights)
PY
in_cg "$CG/client" python3 "$T/client.py" 1500

# One endpoint of one service goes: the file of 100 services is renamed, only the difference is written.
cat > "$T/change.py" <<'PY'
import os, sys, time
from dial import *
path, gone = sys.argv[1] + "/s04200.yaml", "127.0.2.95"
assert gone in many("10.100.16.146", 80, 300)
text = open(path).read()
line = next(l for l in text.splitlines() if "name: c4242," in l)
with open(path + ".new~", "w") as f:
    f.write(text.replace(line, line.replace(f'{{address: "{gone}:7000"}}, ', "")))
begin = time.monotonic()
os.rename(path + ".new~", path)
miss = 0
while miss < 300:                               # nine in ten miss it: 300 in a row are no chance
    miss = 0 if who("10.100.16.146", 80) == gone else miss + 1
    assert time.monotonic() - begin < 60
print("  ok: a backend that went is met no more", flush=True)
PY
writes=$(metric writes)
in_cg "$CG/client" python3 "$T/change.py" "$D"
like "$(($(metric writes) - writes))" '^[1-9]$' "and fewer than ten entries were written for it"
is "$(metric services) $(metric backends) $(metric stale)" "10000 99999 0" "nothing else has changed"
like "$(weft explain tcp 10.100.16.146:80)" 'service +s4242 port 80' "explain finds it among them"

weftd_kill
before=$(date +%s%N)
weftd_start
took=$((($(date +%s%N) - before) / 1000000))
like "$(admin /kernel)" '"loaded":"adopted"' "a restart adopts them"
is "$(metric services) $(metric backends) $(metric stale)" "10000 99999 0" "all are there"
echo "  restart until ready: $took ms"
in_cg "$CG/client" python3 "$T/client.py" 300 127.0.2.95
weftd_stop
