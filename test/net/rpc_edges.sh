#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# RPC protocols at their edges: TLS both ways and on the same port, hostile bytes, heads that do not end, floods, hosts and clients
# that are silent, drain by age, by a listener that goes and by SIGTERM, a proxy that is killed.
. "$(dirname "$0")/../lib/net.sh"
. "$(dirname "$0")/../lib/certs.sh"
. "$SRC/test/lib/plugins.sh"
plugin_build "$SRC/test/plugins/proto_pong.c"
cd "$T"
make_ca ca
make_cert host ca DNS:host.example
make_cert weft ca DNS:weft.example
make_cert client ca URI:spiffe://example/client
self_signed "$T/other" DNS:other.example

config() {
	local certificate="certificates: [{cert: $T/weft.crt, key: $T/weft.key}]"
	cat <<YAML
workers: 3
kernel: {mode: off}
plugins: [{path: $PLUGINS/proto_pong.so}]
proxy: {drain: 60s}
listeners:
- {name: calls, address: "127.0.0.1:8080", protocol: $1, routes: [calls]}
- {name: short, address: "127.0.0.1:8081", protocol: $1, routes: [calls], timeouts: {head: 300ms, idle: 60s}}
- {name: old, address: "127.0.0.1:8082", protocol: $1, routes: [calls], timeouts: {connectionAge: 300ms}}
- {name: leaves, address: "127.0.0.1:8084", protocol: $1, routes: [calls]}
- {name: safe, address: "127.0.0.1:8443", protocol: $1, detect: [http], routes: [calls], tls: {mode: permissive, $certificate}}
- {name: agreed, address: "127.0.0.1:8445", protocol: $1, routes: [calls], tls: {mode: permissive, alpn: [h2, http/1.1], $certificate}}
- {name: known, address: "127.0.0.1:8444", protocol: $1, routes: [calls], tls: {$certificate, clientCA: $T/ca.crt, requireClientCertificate: true}}
routes:
- name: calls
  rules:
  - {matches: [{service: {value: safe}}], backends: [{cluster: safe}]}
  - {matches: [{service: {value: who}, identities: ["spiffe://example/client"]}], backends: [{cluster: app}]}
  - {matches: [{service: {value: silent}}], backends: [{cluster: silent}]}
  - {matches: [{service: {value: any}}], backends: [{cluster: app}], timeouts: {request: 300s}}
clusters:
- {name: app, protocol: $1, endpoints: [{address: "127.0.0.1:9001"}]}
- {name: silent, protocol: $1, connectionPool: {pingInterval: 200ms, pingTimeout: 300ms}, endpoints: [{address: "127.0.0.1:9002"}]}
- name: safe
  protocol: $1
  endpoints: [{address: "127.0.0.1:9003"}]
  tls: {sni: host.example, trustedCA: $T/ca.crt, certificates: [{cert: $T/weft.crt, key: $T/weft.key}]}
telemetry: {accessLog: [{path: $T/access.log, format: json}]}
YAML
}

cat > "$T/edges.py" <<'PY'
import signal
import ssl
import subprocess
from rpc_rig import *

name, T, WEFT, PID = sys.argv[1], os.environ["T"], sys.argv[2], int(sys.argv[3])
RpcHostOf, ClientOf = PEERS[name]
GOOD = GOOD_WORD[name]
server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=f"{T}/ca.crt")
server.load_cert_chain(f"{T}/host.crt", f"{T}/host.key")
server.verify_mode = ssl.CERT_REQUIRED
app, quiet, safe = RpcHostOf(9001, "app"), RpcHostOf(9002, "quiet", answers_beats=False), RpcHostOf(9003, "safe", tls=server)


def body(n):
    return "x" * n if name == "dubbo" else b"x" * n


def good(a):
    return a.status == GOOD


def tls(certificate=None):
    c = ssl.create_default_context(cafile=f"{T}/ca.crt")
    if certificate:
        c.load_cert_chain(f"{T}/{certificate}.crt", f"{T}/{certificate}.key")
    return c


def works(c):
    a = c.ask("any", "x", body(100))
    assert good(a), (a.status, a.body)


@case
def tls_and_plain_on_one_port():
    works(ClientOf(8443, tls=tls(), name="weft.example"))
    works(ClientOf(8443))
    is_(get("/", port=8443).status, 404, "HTTP is known for what it is, and meets no route")


@case
def what_tls_agrees_on_is_spoken():
    def curl(*how):
        return subprocess.check_output(["curl", "-s", "--cacert", f"{T}/ca.crt", "--resolve", "weft.example:8445:127.0.0.1", "-o", "/dev/null",
                                        "-w", "%{http_version} %{http_code}", *how, "https://weft.example:8445/"], text=True)
    is_([curl("--http2"), curl("--http1.1")], ["2 404", "1.1 404"])
    works(ClientOf(8445, tls=tls(), name="weft.example"))
    works(ClientOf(8445))
    raw = socket.create_connection(("127.0.0.1", 8445))
    raw.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    raw.settimeout(LIMIT)
    assert not raw.recv(100).startswith(b"HTTP"), "in clear only what is declared is taken"


@case
def clients_prove_who_they_are():
    c = ClientOf(8444, tls=tls("client"), name="weft.example")
    works(c)
    assert good(c.ask("who", "x", body(10))), "its identity is a condition of routes"
    assert not good(ClientOf(8443).ask("who", "x", body(10)))
    try:
        ClientOf(8444, tls=tls(), name="weft.example").ask("any", "x", body(10))
        assert False, "without a certificate nothing is answered"
    except (EOFError, OSError):
        pass


@case
def hosts_are_proven():
    for _ in range(10):
        is_(ClientOf().ask("safe", "x", body(1000)).host, "safe")
    is_(safe.wrong, [])


@case
def nonsense_ends_the_connection_and_is_counted():
    was = metric("weft_http_malformed_total")
    head = ClientOf().made(1, "any", "x", body(10), {}, 1000, False)
    for bad in (b"\0" * 64, b"\xff" * 64, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" + b" " * 40, head[:3] + b"\xff" * 61):
        c = ClientOf()
        c.send(bad)
        c.left()
    works(ClientOf())
    eventually(lambda: metric("weft_http_malformed_total") >= was + 4)


@case
def a_head_that_does_not_end():
    c = ClientOf(8081)
    works(c)
    c.send(c.made(9, "any", "x", body(10), {}, 60000, False)[:12])
    assert c.closed(), "its time is over"
    c = ClientOf(8081)
    works(c)
    c.beat()
    works(c)


@case
def every_cut_of_a_frame_is_the_same_frame():
    c = ClientOf()
    frame = c.made(7, "any", "x", body(60), {"k": "v"}, 60000, False)
    for at in range(1, len(frame)):
        c.send(frame[:at])
        c.send(frame[at:])
        assert good(c.answer(7)), at


@case
def a_flood_of_heartbeats_is_stopped():
    c = ClientOf()
    beat = c.beat_frame(5)
    try:
        for _ in range(2000):
            c.send(beat * 50)
        c.left()
    except OSError:
        pass
    works(ClientOf())


@case
def a_host_that_is_silent_is_left():
    quiet.on[""] = silent
    c = ClientOf()
    n = c.call("silent", "x", body(10), timeout=60000)
    assert not good(c.answer(n))
    eventually(lambda: quiet.open == 0)
    assert quiet.beats, "it was asked before"


@case
def a_host_that_beats_is_answered():
    works(ClientOf())
    eventually(lambda: app.lines)
    was = app.acks
    app.beat()
    eventually(lambda: app.acks > was)


@case
def a_host_that_goes_while_calls_wait():
    app.on["hold"] = hold
    c = ClientOf()
    n = [c.call("any", "hold", body(10), timeout=60000) for _ in range(50)]
    eventually(lambda: len(app.held) == 50)
    app.held.clear()
    for line in list(app.lines):
        line.sock.shutdown(socket.SHUT_RDWR)    # close() would wait for the thread that reads
    eventually(lambda: not app.lines)
    for k in n:
        assert not good(c.answer(k))
    works(c)


@case
def connections_of_age_are_asked_to_go():
    end = time.monotonic() + 1.5
    asked = 0
    while time.monotonic() < end:
        c = ClientOf(8082)
        try:
            while True:
                works(c)
                asked += 1
                if c.gone:
                    break
                if time.monotonic() > end:
                    break
        except EOFError:
            assert False, "closed under a call"
        c.left()
    assert asked


@case
def a_listener_that_goes():
    app.on["hold"] = hold
    c, idle = ClientOf(8084), ClientOf(8084)
    works(idle)
    n = c.call("any", "hold", body(10), timeout=60000)
    eventually(lambda: len(app.held) == 1)
    text = open(f"{T}/weft.yaml").read()
    open(f"{T}/new", "w").write("\n".join(x for x in text.split("\n") if "name: leaves" not in x))
    os.rename(f"{T}/new", f"{T}/weft.yaml")
    subprocess.run([WEFT, "reload"], check=True, stdout=subprocess.DEVNULL)
    idle.left()
    app.let_go()
    assert good(c.answer(n)), "what is under way ends well"
    c.left()


@case
def the_proxy_is_killed():
    pid = proxy()
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: proxy() not in (None, pid))

    def again():
        try:
            works(ClientOf())
            return True
        except (EOFError, OSError):
            return False
    eventually(again)


@case
def calls_under_way_end_well_at_SIGTERM():
    app.on["hold"] = hold
    c, idle = ClientOf(), ClientOf()
    works(idle)
    n = [c.call("any", "hold", body(100), timeout=60000) for _ in range(1 if name == "pong" else 20)]
    eventually(lambda: len(app.held) == len(n))
    os.kill(PID, signal.SIGTERM)
    idle.left()
    app.let_go()
    for k in n:
        assert good(c.answer(k))


# What wants several calls at once on one connection, or numbers.
MANY = every_cut_of_a_frame_is_the_same_frame, a_host_that_is_silent_is_left, a_host_that_goes_while_calls_wait
run(sys.argv[4:] or [fn.__name__ for fn in cases if name != "pong" or fn not in MANY])
PY

export T
# The documentation's example: its configuration runs, its commands say what it says, but for places and times.
awk '/^```yaml/ && !n {n = 1; next} /^```/ {if (n == 1) exit} n' "$SRC/docs/rpc.md" > "$T/weft.yaml"
weftd_start
PYTHONPATH=$SRC/test/lib python3 - <<'PY'
from rpc_rig import *
for port, name in (9001, "v1"), (9002, "v2"):
    BoltHost(port, name)
eventually(lambda: BoltClient(12200).ask("com.example.Other", "x", b"1").status == SUCCESS)
is_(BoltClient(12200).ask("com.example.Orders:1.0", "create", b"1").host, "v2")
PY
like "$(weft explain rpc com.example.Orders:1.0 create)" '^  rule +calls.0, rule 0 \(.*weft.yaml:7\): service Exact com.example.Orders:1.0, rpcMethod Exact create$' \
	"what a call meets, as the documentation shows it"
shown() { weft methods | grep -qE '^com.example.Orders:1.0 +create +1 +1 +0 +1 +[0-9]+$'; }
wait_for 60 shown
weftd_stop
for p in ${PROTOCOLS:-bolt dubbo}; do
	config "$p" > "$T/weft.yaml"
	weftd_start
	PYTHONPATH=$SRC/test/lib python3 "$T/edges.py" "$p" "$B/weft" "$WEFTD_PID" "$@" | sed -u "s/^case \(pass\|fail\|skip\) /&${p}_/" || failed=1
	rc=0
	wait "$WEFTD_PID" || rc=$?
	is $rc 0 "$p: weftd ends with 0 behind the last answer"
	WEFTD_PID=
	rm -f "$T/access.log"
done
[ -z "${failed:-}" ]
