# SPDX-License-Identifier: Apache-2.0
# `weft kernel detach`: everything goes, in the order that loses no byte of a live connection; without a daemon; twice.
. "$(dirname "$0")/../lib/net.sh"
export PYTHONPATH=$SRC/test/lib PYTHONDONTWRITEBYTECODE=1

pod_add client
pod_add server
bg answer.log in_pod server python3 "$SRC/test/lib/answer.py" --port 7000 10.244.0.2
serve server echo --tcp 7777 --mode echo
wait_line 20 "$T/answer.log" ready
cat > "$T/weft.yaml" <<YAML
kernel: {cgroup: $CG}
workloads:
- {name: client, cgroup: /client, shortCircuit: {splice: never}}
- {name: server, cgroup: /server, shortCircuit: {splice: never}}
services:
- {name: app, addresses: [10.96.0.10], cluster: app, ports: [{port: 80}]}
- {name: echo, addresses: [10.96.0.12], cluster: echo, ports: [{port: 7}]}
clusters:
- {name: echo, endpoints: [{address: "10.244.0.2:7777"}]}
- {name: app, endpoints: [{address: "10.244.0.2:7000"}]}
YAML
is "$(weft kernel detach)" "nothing of weft is in the kernel" "before anything was there"
weftd_start
full() { admin /kernel | grep -q '"rung":"full"'; }
wait_for 30 full
progs_of() { bpftool -j cgroup tree "$CG" | python3 -c 'import json,sys; print(sum(len(c["programs"]) for c in json.load(sys.stdin)))'; }
like "$(progs_of)" '^1[0-9]$' "programs are attached"

# 30 connections that carry bytes all the time, and one whose reader sleeps on bytes that were redirected.
cat > "$T/streams.py" <<'PY'
import os, selectors, signal, sys
from dial import *
stop = False
def on_term(*_):
    global stop
    stop = True
signal.signal(signal.SIGTERM, on_term)
socks = [dial("10.96.0.12", 7) for _ in range(30)]
for s in socks:
    s.settimeout(60)                            # a busy machine is no hang
sleeper = dial("10.96.0.12", 7)
late = os.urandom(200000)
sleeper.settimeout(60)
sleeper.sendall(late)
def back(s, n):
    got = b""
    while len(got) < n:
        more = s.recv(n - len(got))
        assert more, f"end of stream after {len(got)} of {n}"
        got += more
    return got
total = rounds = 0
after = 0
while after < 20:
    for i, s in enumerate(socks):
        block = os.urandom(1 + (rounds * 37 + i * 101) % 5000)
        s.sendall(block)
        assert back(s, len(block)) == block, "other bytes came back"
        total += len(block)
    rounds += 1
    after += stop
    if rounds == 20:
        print("running", flush=True)
assert back(sleeper, len(late)) == late, "the sleeping reader's bytes differ"
print(f"rounds {rounds} bytes {total}, all right", flush=True)
PY
bg streams.log in_pod client python3 "$T/streams.py"
STREAMS=$BG_PID
wait_line 20 "$T/streams.log" running
accelerated() { weft connections -o json | python3 -c 'import json,sys; print(len(json.load(sys.stdin)["connections"]))'; }
like "$(accelerated)" '^3[01]$' "the connections are short-circuited"

rc=0
weft kernel detach > "$T/busy.out" 2>&1 || rc=$?
is $rc 1 "a running weftd holds them: refused"
like "$(cat "$T/busy.out")" 'another weftd|weftd .*runs|stop' "and says why"
like "$(progs_of)" '^1[0-9]$' "nothing was touched"

python3 "$SRC/test/lib/pins.py" ids /sys/fs/bpf/weft/abi1 > "$T/ids"
weftd_kill
kill -KILL "$(pgrep -f 'role=proxy|--role proxy' | head -n 1)" 2> /dev/null || true
weft kernel detach > "$T/detach.out" 2>&1 || fail "detach: $(cat "$T/detach.out")"
like "$(cat "$T/detach.out")" '^removed 1[0-9] links, 1[0-9] programs, 2[0-9] maps; 1 connections had undelivered bytes, 1 sockets keep' "says what it removed"
is "$(progs_of)" 0 "nothing is attached"
pins() { find /sys/fs/bpf -mindepth 1 \( -path '/sys/fs/bpf/weft*' -type f \) -printf '%f\n'; }
is "$(pins)" "sock_map" "only what holds the sleeper's bytes is left"
kill -TERM "$STREAMS"
wait "$STREAMS" || fail "a stream broke: $(cat "$T/streams.log")"
like "$(tail -n 1 "$T/streams.log")" 'all right' "no connection lost a byte: $(tail -n 1 "$T/streams.log")"
like "$(weft kernel detach)" '^removed 0 links, 0 programs, 1 maps; 0 connections' "the second run removes that too"
left() { find /sys/fs/bpf -mindepth 1 -name 'weft*'; }
is "$(left)" "" "nothing is left"
is "$(weft kernel detach)" "nothing of weft is in the kernel" "the third run says so"
is "$(weft kernel detach -o json | python3 -c 'import json,sys; print(json.load(sys.stdin)["links"])')" 0 "as JSON too"
# The kernel drops objects that nobody refers to a little later.
none_left() { while read -r kind _ id _; do ! bpftool "${kind%s}" show id "$id" || return 1; done < "$T/ids"; }
wait_for 10 none_left
echo "  ok: none of the programs and maps is in the kernel any more"
fails "a service address is nothing any more" in_pod client python3 -c 'import dial; s = dial.dial("10.96.0.10", 80)'

# And from there anew.
weftd_start
wait_for 30 full
is "$(in_pod client python3 "$SRC/test/lib/dial.py" tcp 10.96.0.10 80)" "10.244.0.2 1" "weftd starts anew after it"
weftd_stop
ok "and away again" weft kernel detach
is "$(left)" "" "nothing is left again"
