#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The UDP proxy: sessions, answers from the address that was asked, idle time, limits, hosts that refuse; with two workers.
. "$(dirname "$0")/../lib/net.sh"

cat > "$T/weft.yaml" <<YAML
kernel: {mode: "off"}
workers: 2
listeners:
- {name: any, address: "0.0.0.0:7001", protocol: udp, rules: [{backends: [{cluster: echo}]}]}
- {name: six, address: "[::]:7001", protocol: udp, rules: [{backends: [{cluster: echo}]}]}
- {name: idle, address: "127.0.0.1:7002", protocol: udp, timeouts: {idle: 1s}, rules: [{backends: [{cluster: echo}]}]}
- {name: few, address: "127.0.0.1:7003", protocol: udp, limits: {connections: 3}, timeouts: {idle: 3s}, rules: [{backends: [{cluster: echo}]}]}
- {name: next, address: "127.0.0.1:7004", protocol: udp, rules: [{backends: [{cluster: half-dead}]}]}
- {name: none, address: "127.0.0.1:7005", protocol: udp, rules: [{sources: [192.0.2.0/24], backends: [{cluster: echo}]}]}
clusters:
- {name: echo, endpoints: [{address: "127.0.0.1:9001"}]}
- {name: half-dead, loadBalancer: round-robin, endpoints: [{address: "127.0.0.1:9009"}, {address: "127.0.0.1:9001"}]}
YAML
ip addr add fd00::1/128 dev lo nodad
ip addr add fd00::2/128 dev lo nodad

cat > "$T/host.py" <<'PY'
# Answers with the port that asked, a space, and what was asked; "N text": N times.
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 9001))
print("ready", flush=True)
while True:
    data, peer = s.recvfrom(65536)
    times = int(data.split()[0]) if data[:1].isdigit() else 1
    for _ in range(times):
        s.sendto(b"%d %s" % (peer[1], data[:60000]), peer)
PY
cat > "$T/cases.py" <<'PY'
import select, socket, time

def client(address, connect=True, bind=None):
    s = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(30)
    if bind:
        s.bind(bind)
    if connect:
        s.connect(address)          # an answer from another address does not arrive
    return s

def ask(s, text=b"hello"):
    s.send(text)
    port, back = s.recv(65536).split(b" ", 1)
    assert back == text, (back[:50], text[:50])
    return int(port)

def check(what, got, want):
    assert got == want, f"{what}: got {got!r}, wanted {want!r}"
    print(f"  ok: {what}", flush=True)

def silent(s, text=b"hello", seconds=0.5):
    s.settimeout(seconds)
    try:
        s.send(text)
        return s.recv(65536)
    except (TimeoutError, ConnectionRefusedError):
        return b""
    finally:
        s.settimeout(30)

for address in ("127.0.0.1", "127.0.0.2", "127.9.9.9", "::1", "fd00::1", "fd00::2"):
    check(f"asked at {address}, answered from there", ask(client((address, 7001))) > 0, True)
s = client(("127.0.0.1", 7001))
port = ask(s)
check("a session keeps its socket", {ask(s) for _ in range(100)}, {port})
check("another client has its own", ask(client(("127.0.0.1", 7001))) != port, True)
loose = client(("127.0.0.1", 7001), connect=False)
ports = set()
for address in ("127.0.0.1", "127.0.0.2"):
    loose.sendto(b"x", (address, 7001))
    data, peer = loose.recvfrom(100)
    check(f"one socket asks {address}", peer, (address, 7001))
    ports.add(data.split()[0])
check("each address asked is a session", len(ports), 2)
for size in (0, 1, 1400, 20000, 60000):
    ask(s, b"x" * size)
print("  ok: datagrams of any size", flush=True)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
s.send(b"200 many")
got = [s.recv(100) for _ in range(200)]
check("many answers to one question", len(got), 200)
for i in range(100):
    s.send(b"%d" % 1 + b" q%03d" % i)
got = [s.recv(100).split(b" ", 1)[1] for _ in range(100)]
check("a burst of questions, in order", got, [b"1 q%03d" % i for i in range(100)])
clients = [client(("127.0.0.1", 7001)) for _ in range(100)]
check("a hundred clients, a hundred sockets", len({ask(c) for c in clients}), 100)
def until(what, fn):
    """A machine that stands still makes sessions idle that were not meant to be: then once more."""
    deadline = time.monotonic() + 60
    while not fn():
        assert time.monotonic() < deadline, what
    print(f"  ok: {what}", flush=True)

def goes_on(s):
    first, end = ask(s), time.monotonic() + 2
    while time.monotonic() < end:
        select.select([], [], [], 0.1)
        if ask(s) != first:
            return False
    return True

def forgotten(s, seconds):
    first = ask(s)
    select.select([], [], [], seconds)
    return ask(s) != first

s = client(("127.0.0.1", 7002))
until("a session in use goes on", lambda: goes_on(s))
until("an idle one does not", lambda: forgotten(s, 1.5))
few = [client(("127.0.0.1", 7003)) for _ in range(4)]

def full():
    """No answer for the fourth while the other three keep theirs."""
    first = [silent(c) for c in few[:3]]
    fourth = silent(few[3])
    return all(first) and [silent(c) for c in few[:3]] == first and not fourth

until("three sessions there may be, and no fourth", full)
until("until they are idle", lambda: silent(few[3]))
check("no rule: no answer", silent(client(("127.0.0.1", 7005))), b"")
for i in range(20):
    s = client(("127.0.0.1", 7004))
    for attempt in range(50):
        if silent(s, b"hello", 0.3):
            break
    else:
        raise AssertionError("no host answers")
print("  ok: who meets a host that is not there gets another one", flush=True)
PY
bg host.log python3 "$T/host.py"
wait_line 20 "$T/host.log" ready
weftd_start
ok "every case" python3 "$T/cases.py"
cat "$T/ok.out"
stat_of() { admin /listeners | python3 -c "import json,sys; print([l for l in json.load(sys.stdin)['listeners'] if l['name'] == '$1'][0]['$2'])"; }
counted() { [ "$(stat_of none no_rule)" -ge 1 ] && [ "$(stat_of few full)" -ge 1 ] && [ "$(stat_of idle idle)" -ge 1 ]; }
wait_for 20 counted
echo "  ok: and each is counted"
