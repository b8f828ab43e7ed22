# SPDX-License-Identifier: Apache-2.0
# What the application sees of a translated socket, and what happens at once where nothing can be reached.
. "$(dirname "$0")/../lib/net.sh"
export PYTHONPATH=$SRC/test/lib PYTHONDONTWRITEBYTECODE=1

pod_add client
pod_add server
bg answer.log in_pod server python3 "$SRC/test/lib/answer.py" --port 7000 10.244.0.2 fd00:244::2
bg self.log in_pod client python3 "$SRC/test/lib/answer.py" --port 7001 10.244.0.1
serve server web --tcp 8080 --udp 8053
mkdir -p "$CG/exempt" "$CG/client"
cat > "$T/weft.yaml" <<YAML
kernel: {cgroup: $CG}
workloads: [{name: exempt, cgroup: /exempt, connect: false}]
services:
- {name: app, addresses: [10.96.0.10, "fd00:96::10"], cluster: app, ports: [{port: 80}, {port: 53, protocol: UDP}]}
- {name: web, addresses: [10.96.0.11], cluster: web, ports: [{port: 80, target: 8080}, {port: 53, protocol: UDP, target: 8053}]}
- {name: self, addresses: [10.96.0.12], cluster: self, ports: [{port: 80}]}
- {name: empty, addresses: [10.96.0.13, "fd00:96::13"], cluster: empty, ports: [{port: 80}, {port: 53, protocol: UDP}]}
- {name: four-only, addresses: ["fd00:96::14"], cluster: web, ports: [{port: 80, target: 8080}]}
- {name: l7-open, addresses: [10.96.0.15], cluster: app, ports: [{port: 80}], routes: [r], failMode: open}
- {name: l7-closed, addresses: [10.96.0.16], cluster: app, ports: [{port: 80}, {port: 53, protocol: UDP}], routes: [r], failMode: closed}
clusters:
- {name: app, endpoints: [{address: "10.244.0.2:7000"}, {address: "[fd00:244::2]:7000"}]}
- {name: web, endpoints: [{address: 10.244.0.2}]}
- {name: self, endpoints: [{address: "10.244.0.1:7001"}]}
- {name: empty, endpoints: []}
routes: [{name: r, rules: [{backends: [{cluster: app}]}]}]
YAML
weftd_start
wait_line 20 "$T/answer.log" ready
wait_line 20 "$T/self.log" ready

is "$(in_pod client curl -sS --max-time 60 http://10.96.0.11/)" web "curl reaches a service by its address"
is "$(in_pod client nc -w 2 10.96.0.11 80 <<< hello)" web "nc too"
is "$(echo hello | in_pod client nc -u -w 1 10.96.0.11 53)" web "nc over UDP too"

cat > "$T/views.py" <<'PY'
import ctypes, os, select, struct, time
from dial import *

V4, V6, MAPPED = "10.96.0.10", "fd00:96::10", "::ffff:10.96.0.10"
for address, source, backend in ((V4, "10.244.0.1", "10.244.0.2"), (V6, "fd00:244::1", "fd00:244::2"),
                                 (MAPPED, "::ffff:10.244.0.1", "10.244.0.2")):
    for kind, port in ((TCP, 80), (UDP, 53)):
        with dial(address, port, kind) as s:
            what = f"{address} {'TCP' if kind == TCP else 'UDP'}"
            check(f"{what}: reached", said(s), backend)
            check(f"{what}: getpeername is what was dialled", s.getpeername()[:2], (address, port))
            check(f"{what}: getsockname is the pod's own address", s.getsockname()[0], source)

# Non-blocking: EINPROGRESS, then writable, and the view is right at once.
s = make(V4, TCP)
s.setblocking(False)
check("non-blocking connect", errno.errorcode[s.connect_ex((V4, 80))], "EINPROGRESS")
select.select([], [s], [], 5)
check("non-blocking: no error", s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), 0)
check("non-blocking: peer", s.getpeername(), (V4, 80))
s.close()

# A UDP socket that connects again and again, also to what is no service, and to nobody.
s = dial(V4, 53, UDP)
s.connect(("10.244.0.2", 7000))
check("UDP dialled anew, directly: peer", s.getpeername(), ("10.244.0.2", 7000))
check("UDP dialled anew, directly: answers", said(s), "10.244.0.2")
s.connect((V4, 53))
check("UDP dialled anew, the service: peer", s.getpeername(), (V4, 53))
libc = ctypes.CDLL(None, use_errno=True)
check("AF_UNSPEC is accepted", libc.connect(s.fileno(), struct.pack("H14x", socket.AF_UNSPEC), 16), 0)
check("AF_UNSPEC: nobody is the peer", s.connect_ex((V4, 53)) or s.getpeername(), (V4, 53))
s.close()

# The address of a received datagram is the one that was dialled.
for address in (V4, V6, MAPPED):
    with make(address, UDP) as s:
        check(f"sendto {address}: answer's address", who_sendto(s, address, 53)[1], (address, 53))

# Multipath TCP clients dial services too.
try:
    s = socket.socket(socket.AF_INET, TCP, 262)
except OSError as e:
    print("  without MPTCP:", e)
else:
    s.settimeout(60)
    s.connect((V4, 80))
    check("MPTCP: reached", said(s), "10.244.0.2")
    check("MPTCP: getpeername", s.getpeername(), (V4, 80))
    s.close()

# Hairpin: the only backend is the caller's own pod.
with dial("10.96.0.12", 80) as s:
    check("hairpin: reached itself", said(s), "10.244.0.1")
    check("hairpin: peer", s.getpeername(), ("10.96.0.12", 80))

# Refused at once, never after a timeout.
def at_once(what, address, port, kind, want):
    begin = time.monotonic()
    check(what, who(address, port, kind), want)
    took = time.monotonic() - begin
    assert took < 2.5, f"{what}: after {took:.3f} s"    # an address that answers no ARP costs three seconds
at_once("no backend, TCP", "10.96.0.13", 80, TCP, "EHOSTUNREACH")
at_once("no backend, TCP over IPv6", "fd00:96::13", 80, TCP, "EHOSTUNREACH")
at_once("no backend, connected UDP", "10.96.0.13", 53, UDP, "EHOSTUNREACH")
with make(V4, UDP) as s:
    check("no backend, sendto", who_sendto(s, "10.96.0.13", 53)[0], "EHOSTUNREACH")
at_once("no backend of this family", "fd00:96::14", 80, TCP, "EHOSTUNREACH")
s = make(V4, TCP)
s.setblocking(False)
check("no backend, non-blocking", errno.errorcode[s.connect_ex(("10.96.0.13", 80))], "EHOSTUNREACH")
s.close()
check("L7 in a pod of no workload, failMode open", who("10.96.0.15", 80), "10.244.0.2")
at_once("the same, failMode closed", "10.96.0.16", 80, TCP, "ECONNREFUSED")
at_once("and of UDP", "10.96.0.16", 53, UDP, "ECONNREFUSED")
at_once("a port that the service does not have is left alone", "10.96.0.16", 81, TCP, "ENETUNREACH")
PY
# No way leads to the service addresses but weft's translation.
ip -n client route del default
ip -n client -6 route del default
in_pod client python3 "$T/views.py"

exempt() { in_cg "$CG/exempt" nsenter --net=/run/netns/client python3 "$SRC/test/lib/dial.py" tcp 10.96.0.10 80; }
is "$(exempt)" "ENETUNREACH 1" "an exempt workload is left alone"
is "$(in_cg "$CG/weftd/x" nsenter --net=/run/netns/client python3 "$SRC/test/lib/dial.py" tcp 10.96.0.10 80)" \
	"ENETUNREACH 1" "and so are weft's own sockets"

reason() { weft kernel reasons -o json | python3 -c "import json,sys; print(next(r['count'] for r in json.load(sys.stdin)['reasons'] if r['name'] == '$1'))"; }
like "$(reason no_backend)" '^6$' "each refusal was counted: no_backend"
is "$(reason l7_unseen_open)" 1 "l7_unseen_open"
is "$(reason l7_unseen_closed)" 1 "l7_unseen_closed"
is "$(reason l7_closed)" 1 "l7_closed"
is "$(reason exempt)" 2 "exempt"
like "$(weft services)" '^empty +10.96.0.13.* +80 +TCP +empty .* 0 +0 +0 +3$' "services shows the one without backends"
weftd_stop
