# SPDX-License-Identifier: Apache-2.0
# UDP: a connected socket keeps its backend, an unconnected one moves by itself when its backend goes, and each reply
# shows the address that was dialled.
. "$(dirname "$0")/../lib/net.sh"
export PYTHONPATH=$SRC/test/lib PYTHONDONTWRITEBYTECODE=1

D=$T/services.d
pod_add client
pod_add server
for i in 1 2 3 4; do
	ip -n server addr add "10.244.0.10$i/24" dev eth0
	ip -n server addr add "fd00:244::10$i/64" dev eth0 nodad
done
bg answer.log in_pod server python3 "$SRC/test/lib/answer.py" --port 7000 10.244.0.10{1..4} fd00:244::10{1..4}
wait_line 20 "$T/answer.log" ready
facts() {
	{
		echo "services:"
		for i in 0 1 2 3 4 5; do
			echo "- {name: s$i, addresses: [10.96.0.1$i, \"fd00:96::1$i\"], cluster: app, ports: [{port: 53, protocol: UDP, target: 7000}]}"
		done
		echo "clusters:"
		echo "- name: app"
		echo "  loadBalancer: random"
		echo "  endpoints:"
		local a
		for a in "$@"; do
			echo "  - {address: 10.244.0.10$a}"
			echo "  - {address: \"fd00:244::10$a\"}"
		done
	} | write_file "$D/app.yaml"
}
cat > "$T/weft.yaml" <<YAML
kernel: {cgroup: $CG}
registries: [{name: files, type: file, path: $D}]
YAML
facts 1 2 3 4
weftd_start
in_kernel() { [ "$(bpftool -j map dump pinned /sys/fs/bpf/weft/abi1/maps/backend_map | python3 -c 'import json, sys; print(len(json.load(sys.stdin)))')" = "$1" ]; }
wait_for 10 in_kernel 48

cat > "$T/client.py" <<'PY'
import sys
from dial import *
# The shell changes the facts between our steps: a line from it, a line to it.
def step(line):
    print(line, flush=True)
    return sys.stdin.readline().strip()

socks, first = {}, {}
for address in ("10.96.0.10", "fd00:96::10", "::ffff:10.96.0.10"):
    # Four, and as many more as it takes until one of them is with the backend that will go.
    i = 0
    while i < 4 or not any(first[address, k].endswith("101") for k in range(i)):
        s = socks[address, i] = make(address, UDP)
        names = {who_sendto(s, address, 53) for _ in range(20)}
        assert len(names) == 1, names
        (first[address, i], peer), = names
        assert peer == (address, 53), peer
        i += 1
print("  ok: an unconnected socket stays with one backend, and sees the service's address", flush=True)
before = {k: who_sendto(s, k[0], 53)[0] for k, s in socks.items()}
connected = {}
while not any(name.endswith("101") for name in connected):
    s = dial("10.96.0.10", 53, UDP)
    connected.setdefault(said(s), s)
con = next(s for name, s in connected.items() if name.endswith("101"))

step("ready")                                   # now 101 goes
for (address, i), s in socks.items():
    name, peer = who_sendto(s, address, 53)
    old = before[address, i]
    if old.endswith("101"):
        assert not name.endswith("101"), (address, name)
    else:
        assert name == old, (address, old, name)
    assert peer == (address, 53), peer
print("  ok: those of the backend that went have moved by themselves, the others have not", flush=True)
check("a connected socket stays with what it was given", said(con), "10.244.0.101")
check("and its peer is the service", con.getpeername(), ("10.96.0.10", 53))

step("moved")                                   # now all go
for (address, i), s in socks.items():
    check(f"nobody left: {address}", who_sendto(s, address, 53)[0], "EHOSTUNREACH") if i == 0 else None

step("nobody")                                  # now 103 comes back
for (address, i), s in socks.items():
    name, peer = who_sendto(s, address, 53)
    assert name.endswith("103") and peer == (address, 53), (address, name, peer)
print("  ok: one came back: all of them are there", flush=True)

# One socket, six services with the same backend: more than a socket remembers by itself.
with make("10.96.0.10", UDP) as s:
    for turn in range(2):
        for i in range(6):
            check(f"six services on one socket, turn {turn}, service {i}", who_sendto(s, f"10.96.0.1{i}", 53),
                  ("10.244.0.103", (f"10.96.0.1{i}", 53)))
    name, peer = who_sendto(s, "10.244.0.103", 7000)
    check("the backend itself, dialled by its own address", (name, peer), ("10.244.0.103", ("10.244.0.103", 7000)))
step("done")
PY
coproc CLIENT { in_pod client python3 "$T/client.py" 2> "$T/client.log"; }
C=$CLIENT_PID
until_line() {
	local line
	while read -r -t 60 line <&"${CLIENT[0]}"; do
		[ "$line" != "$1" ] || return 0
		echo "$line"
	done
	fail "the client did not say '$1'"
}
go() { echo go >&"${CLIENT[1]}"; }
until_line ready
facts 2 3 4
wait_for 10 in_kernel 36
go
until_line moved
like "$(weft kernel reasons)" '^moved +LB +[1-9]' "counted: moved"
facts
wait_for 10 in_kernel 0
go
until_line nobody
facts 3
wait_for 10 in_kernel 12
go
until_line "done"
go
wait "$C" || fail "the client failed"
weftd_stop
