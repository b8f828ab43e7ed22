#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Services with routes for clients in pods: each is sent to the proxy's listener in its own namespace, sees its own address
# and whom it dialled, and reaches hosts from its own address. What holds while the agent or the proxy is away, and what
# is left of a pod that has gone.
. "$(dirname "$0")/../lib/net.sh"
export PYTHONPATH=$SRC/test/lib PYTHONDONTWRITEBYTECODE=1

D=$T/services.d
mkdir "$D"
cat > "$T/weft.yaml" <<YAML
kernel: {cgroup: $CG}
workers: 2
registries: [{name: files, type: file, path: $D}]
workloads:
- {name: client, cgroup: /client, shortCircuit: {splice: never}}
- {name: other, cgroup: /other}
- {name: many, cgroup: /many}
routes:
- name: shop
  rules:
  - {matches: [{path: {type: PathPrefix, value: /b}}], backends: [{cluster: b}]}
  - {backends: [{cluster: a}]}
- {name: here, rules: [{filters: [{type: DirectResponse, status: 200, body: "here\n"}]}]}
clusters:
- {name: a, endpoints: [{address: "10.244.0.3:9001"}]}
- {name: b, endpoints: [{address: "10.244.0.3:9002"}]}
- {name: six, endpoints: [{address: "[fd00:244::3]:9002"}]}
YAML
cat > "$D/services.yaml" <<YAML
services:
- {name: shop, addresses: [10.96.0.10], ports: [{port: 80}], cluster: a, routes: [shop]}
- {name: safe, addresses: [10.96.0.11, "fd00:96::11"], ports: [{port: 80}], cluster: a, routes: [shop], failMode: closed}
- {name: here, addresses: [10.96.0.12], ports: [{port: 80}], cluster: a, routes: [here], failMode: closed}
YAML
pod_add client
pod_add other
pod_add host
bg host.log in_pod host python3 "$SRC/test/lib/l7_hosts.py" 0.0.0.0 9001 a 0.0.0.0 9002 b fd00:244::3 9003 six
wait_line 20 "$T/host.log" ready
# Each pod's first process; other's is in a container's cgroup below the pod's.
bg client.log in_pod client sleep infinity
CLIENT_PID=$BG_PID
mkdir -p "$CG/other/container"
bg other.log in_cg "$CG/other/container" nsenter --net=/run/netns/other -- sleep infinity
OTHER_PID=$BG_PID
weftd_start

get() { local pod=$1; shift; in_pod "$pod" curl -sS --max-time 20 "$@"; }
answers() { [ "$(get "$1" "http://$2")" = "$3" ]; }
stat_of() { admin /stats | python3 -c "import json,sys; print(json.load(sys.stdin)['$1']['$2'])"; }
stat_is() { [ "$(stat_of "$1" "$2")" = "$3" ]; }

wait_for 30 answers client 10.96.0.11/x "a 10.244.0.1 10.96.0.11 proxied"
is "$(get client http://10.96.0.10/x)" "a 10.244.0.1 10.96.0.10 proxied" "a pod's request goes by the proxy, from the pod's own address"
is "$(get client http://10.96.0.10/b)" "b 10.244.0.1 10.96.0.10 proxied" "its path decides"
wait_for 30 answers other 10.96.0.11/x "a 10.244.0.2 10.96.0.11 proxied"
echo "  ok: processes in a container's cgroup below the pod's are the pod's"
is "$(get client --resolve shop:80:fd00:96::11 http://shop/b)" "b 10.244.0.1 shop proxied" "over IPv6, to a host of IPv4"
like "$(weft listeners -o wide)" '^outbound/[0-9]+ +10.244.0.1:15001 .* listening .* pods client' "its listener is shown, with the workload"
like "$(weft listeners)" '^outbound/[0-9]+/6 +\[fd00:244::1\]:15001 .* listening' "one of IPv6 too"
like "$(weft explain tcp 10.96.0.10:80 --from /client)" '10.244.0.1:15001' "explain knows where"

cat > "$T/looks.py" <<'PY'
import errno, socket
from look import look
look("four", socket.socket(), "10.96.0.11")
look("six", socket.socket(socket.AF_INET6), "fd00:96::11")
look("mapped", socket.socket(socket.AF_INET6), "::ffff:10.96.0.11")
try:
    look("mptcp", socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262), "10.96.0.11")
except OSError as e:
    print("mptcp", "10.244.0.1", "10.96.0.11", "80" if e.errno in (errno.EPROTONOSUPPORT, errno.ENOPROTOOPT, errno.EINVAL) else e)
PY
is "$(in_pod client python3 "$T/looks.py" | tr '\n' ',')" \
	"four 10.244.0.1 10.96.0.11 80,six fd00:244::1 fd00:96::11 80,mapped ::ffff:10.244.0.1 ::ffff:10.96.0.11 80,mptcp 10.244.0.1 10.96.0.11 80," \
	"clients see their own address and whom they dialled: non-blocking, IPv6, mapped, MPTCP"

# The client's end and the proxy's are two sockets of one machine: the bytes between them pass the stack by. What is large
# does not get stuck in a socket that the proxy must not splice from.
full() { admin /kernel | grep -q '"rung":"full"'; }
wait_for 60 full
cat > "$T/both.py" <<'PY'
import hashlib, http.client, os, sys, time
c = http.client.HTTPConnection("10.96.0.11", 80, timeout=60)
def ask(method, body=None):
    c.request(method, "/b", body)
    a = c.getresponse()
    return a.read()
for i in range(20):
    assert ask("GET") == b"b 10.244.0.1 10.96.0.11 proxied\n"
print("idle", flush=True)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.05)
large = os.urandom(16 << 20)
got = ask("POST", large)
assert got == f"{len(large)} {hashlib.sha256(large).hexdigest()}\n".encode() + large, len(got)
print("good", flush=True)
PY
bg both.log in_pod client python3 "$T/both.py" "$T/looked"
BOTH=$BG_PID
wait_line 60 "$T/both.log" 'idle|Error'
paired() {
	admin /connections | python3 -c "
import json, sys
all = [c for c in json.load(sys.stdin)['connections'] if c['state'] == 'open' and c['client'] == 'client']
sys.exit(not any(c['sent']['messages'] >= 15 and c['received']['messages'] >= 15 for c in all))"
}
ok "client and proxy are short-circuited, both ways" paired
: > "$T/looked"
wait $BOTH || fail "a large body between them: $(tail -3 "$T/both.log")"
echo "  ok: a large body goes there and back"

# Nobody sent these there: from the node, and from the pod itself.
unserved() { admin /listeners | python3 -c "import json,sys; print(sum(l.get('unserved', 0) for l in json.load(sys.stdin)['listeners']))"; }
ask_listener() { "$@" python3 -c "
import socket
try: print(socket.create_connection(('10.244.0.1', 15001), 60).recv(1) or 'FIN')
except ConnectionResetError: print('RST')"; }
is "$(ask_listener in_cg "$CG/nobody")" RST "whoever dials the listener itself, from outside: closed"
is "$(ask_listener in_pod client)" RST "from the pod: closed"
counted() { [ "$(unserved)" -ge 2 ]; }
wait_for 20 counted
echo "  ok: and counted"

# Without an agent, which would put another proxy in its place.
proxy() { admin /ready | sed -n 's/.*process \([0-9]*\), 2 workers.*/\1/p'; }
closed() { local rc=0; get client --max-time 5 -o /dev/null http://10.96.0.11/ || rc=$?; [ $rc = 7 ]; }
PROXY=$(proxy)
weftd_kill
is "$(get client http://10.96.0.10/b)" "b 10.244.0.1 10.96.0.10 proxied" "without an agent it goes on"
kill -STOP "$PROXY"
wait_for 20 closed
is "$(get client http://10.96.0.10/b)" "a 10.244.0.1 10.96.0.10 direct" "a proxy that stands still: open, by the kernel to the port's cluster"
echo "  ok: closed, refused"
kill -CONT "$PROXY"
wait_for 20 answers client 10.96.0.11/b "b 10.244.0.1 10.96.0.11 proxied"
kill -KILL "$PROXY"
wait_for 20 answers client 10.96.0.10/b "a 10.244.0.1 10.96.0.10 direct"
echo "  ok: a proxy that was killed: open, by the kernel"
ok "closed, refused" closed
weftd_start
wait_for 30 answers client 10.96.0.11/b "b 10.244.0.1 10.96.0.11 proxied"
echo "  ok: the next proxy serves it again"

# An agent that is killed and started again is not noticed: neither on connections that are kept nor on new ones.
cat > "$T/traffic.py" <<'PY'
import http.client, os, sys, time
kept, n = http.client.HTTPConnection("10.96.0.11", 80, timeout=60), 0
def ask(c):
    c.request("GET", "/b")
    a = c.getresponse()
    body = a.read()
    assert a.status == 200 and body == b"b 10.244.0.1 10.96.0.11 proxied\n", (a.status, body)
while not os.path.exists(sys.argv[1]):
    ask(kept)
    fresh = http.client.HTTPConnection("10.96.0.11", 80, timeout=60)
    ask(fresh)
    fresh.close()
    n += 2
    if n == 20:
        print("under way", flush=True)
    time.sleep(0.01)
print("good", n, flush=True)
PY
bg traffic.log in_pod client python3 "$T/traffic.py" "$T/stop"
TRAFFIC=$BG_PID
wait_line 60 "$T/traffic.log" 'under way|Error'
weftd_kill
weftd_start
adopted() { stat_is proxy adopted 1 && [ "$(stat_of pods open)" -ge 3 ]; }
wait_for 30 adopted
: > "$T/stop"
wait $TRAFFIC || fail "requests failed while the agent was replaced: $(tail -3 "$T/traffic.log")"
like "$(cat "$T/traffic.log")" '^good [0-9]+' "an agent killed under traffic: no request fails, and the next one takes over"

# The other end of a pod's veth goes with the namespace, when really nobody holds it any more.
there() { ip link show "$1" > /dev/null 2>&1; }
gone() { ! there "$1"; }
kill -KILL "$OTHER_PID"
wait "$OTHER_PID" 2> /dev/null || true
ip netns del other
wait_for 30 gone veth-2
echo "  ok: a pod that has gone: its namespace goes too"
no_listener() { ! weft listeners | grep -q '10.244.0.2:15001'; }
wait_for 20 no_listener
pod_add other 10.244.0.22 fd00:244::22
bg other.log in_pod other sleep infinity
wait_for 30 answers other 10.96.0.11/x "a 10.244.0.22 10.96.0.11 proxied"
echo "  ok: it comes again, in another namespace with another address"
ip -n other addr del 10.244.0.22/24 dev eth0
ip -n other addr add 10.244.0.23/24 dev eth0
moved() { weft listeners | grep -q '10.244.0.23:15001 .* listening'; }
wait_for 30 moved
wait_for 30 answers other 10.96.0.12/ here
echo "  ok: another address: its listener moves"

# Fifty pods of one workload, each a process with nothing but a loopback interface.
cat > "$T/many.py" <<'PY'
import ctypes, fcntl, os, socket, struct, sys, time, urllib.request
def pod(i):
    os.makedirs(f"{sys.argv[1]}/p{i}", exist_ok=True)
    with open(f"{sys.argv[1]}/p{i}/cgroup.procs", "w") as f:
        f.write(str(os.getpid()))
    if ctypes.CDLL(None, use_errno=True).unshare(0x40000000):
        raise OSError(ctypes.get_errno(), "unshare")
    with socket.socket() as s:
        fcntl.ioctl(s, 0x8914, struct.pack("16sH14x", b"lo", 0x1 | 0x40))
    until = time.monotonic() + 120
    while True:
        try:
            body = urllib.request.build_opener(urllib.request.ProxyHandler({})).open("http://10.96.0.12/", timeout=60).read()
            return body == b"here\n"
        except OSError as e:
            if time.monotonic() > until:
                print(i, e, flush=True)
                return False
            time.sleep(0.05)
kids = []
for i in range(50):
    r, w = os.pipe()
    kid = os.fork()
    if not kid:
        os.write(w, b"1" if pod(i) else b"0")
        time.sleep(3600)
    kids.append((kid, r))
print("good", sum(os.read(r, 1) == b"1" for _, r in kids), flush=True)
sys.stdin.read()
PY
mkfifo "$T/many.in"
bash -c 'exec python3 "$0" "$1" < "$2"' "$T/many.py" "$CG/many" "$T/many.in" > "$T/many.log" 2>&1 &
exec 9> "$T/many.in"
wait_line 120 "$T/many.log" '^good'
is "$(cat "$T/many.log")" "good 50" "fifty pods at once, each by a listener of its own on loopback"
is "$(stat_of pods namespaces)" 52 "so many namespaces are known"
echo 1 > "$CG/many/cgroup.kill"
all_gone() { stat_is pods namespaces 2 && stat_is pods open 3; }
wait_for 30 all_gone
echo "  ok: and forgotten with their processes"
exec 9>&-
is "$(stat_of proxy exits)" 0 "the proxy lived through all of it"
