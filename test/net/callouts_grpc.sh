#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Call-outs of a filter to a real gRPC server (python3-grpcio), HTTP/2 plain and over TLS: status and words, deadlines, cancelling as
# the server sees it, streams of messages, many at once on shared connections, messages of any size, a server that goes away.
. "$(dirname "$0")/../lib/net.sh"
. "$SRC/test/lib/plugins.sh"
. "$SRC/test/lib/certs.sh"
PY=/usr/bin/python3                             # Debian's, whose package it is
$PY -c 'import grpc' 2> /dev/null || skip "python3-grpcio is not installed"
plugin_build "$SRC/test/plugins/ext_authz.c"
mkdir -p "$T/tls"
(cd "$T/tls" && make_ca ca && make_cert web ca DNS:auth.example)
cat > "$T/weft.yaml" <<YAML
workers: 2
kernel: {mode: off}
plugins: [{path: $PLUGINS/ext_authz.so}]
listeners:
- {name: web, address: "127.0.0.1:8080", filters: [{type: ext-authz, cluster: auth}], routes: [all]}
clusters:
- {name: app, endpoints: [{address: "127.0.0.1:9001"}]}
- {name: auth, protocol: http2, endpoints: [{address: "127.0.0.1:9002"}]}
- {name: safe, protocol: http2, tls: {sni: auth.example, trustedCA: $T/tls/ca.crt}, endpoints: [{address: "127.0.0.1:9003"}]}
- {name: brief, protocol: http2, endpoints: [{address: "127.0.0.1:9004"}]}
routes:
- name: all
  rules:
  - {matches: [{path: {value: /safe}}], filters: [{type: ext-authz, cluster: safe, protocol: grpc, path: /a.Svc/Check}], backends: [{cluster: app}]}
  - {matches: [{path: {value: /talk}}], filters: [{type: ext-authz, cluster: auth, protocol: stream, path: /a.Svc/Talk, timeout: 60s}], backends: [{cluster: app}]}
  - {matches: [{path: {value: /late}}], filters: [{type: ext-authz, cluster: auth, protocol: grpc, path: /a.Svc/Late, timeout: 100ms}], backends: [{cluster: app}]}
  - {matches: [{path: {value: /wait}}], filters: [{type: ext-authz, cluster: auth, protocol: grpc, path: /a.Svc/Late, timeout: 600s}], backends: [{cluster: app}]}
  - {matches: [{path: {value: /brief}}], filters: [{type: ext-authz, cluster: brief, protocol: grpc, path: /a.Svc/Late, timeout: 600s}], backends: [{cluster: app}]}
  - {matches: [{path: {value: /big}}], filters: [{type: ext-authz, cluster: auth, protocol: grpc, path: /a.Svc/Big, maxAnswer: 1MiB}], backends: [{cluster: app}]}
  - {matches: [{path: {value: /zip}}], filters: [{type: ext-authz, cluster: auth, protocol: grpc, path: /a.Svc/Zip}], backends: [{cluster: app}]}
  - {matches: [{path: {value: /nobody}}], filters: [{type: ext-authz, cluster: auth, protocol: grpc, path: /a.Svc/Nobody}], backends: [{cluster: app}]}
  - {filters: [{type: ext-authz, cluster: auth, protocol: grpc, path: /a.Svc/Check, timeout: 60s}], backends: [{cluster: app}]}
YAML
weftd_start
export T
cat > "$T/cases.py" <<'PY'
from concurrent import futures
from grpc_rig import *

on, seen, gone = {}, [], []


class Any(grpc.GenericRpcHandler):
    """on[path] = fn(messages, context), a generator of answers."""

    def service(self, details):
        fn = on.get(details.method)

        def run(messages, context):
            seen.append((details.method, context.time_remaining(), context.peer()))
            yield from fn(messages, context)
        return grpc.stream_stream_rpc_method_handler(run) if fn else None


def serve(port, tls=None):
    s = grpc.server(futures.ThreadPoolExecutor(64), handlers=[Any()])
    if tls:
        s.add_secure_port(f"127.0.0.1:{port}", tls)
    else:
        s.add_insecure_port(f"127.0.0.1:{port}")
    s.start()
    return s


def read(name):
    return open(os.environ["T"] + "/tls/" + name, "rb").read()


servers = [serve(9002), serve(9003, grpc.ssl_server_credentials([(read("web.key"), read("web.crt"))]))]
app = Host(9001)


def user(r):
    return one(r.json()["headers"], "x-auth-user")


def check(messages, context):
    """Anybody but /no..."""
    for m in messages:
        if m.startswith(b"/no"):
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "100% \u263a no")
        yield m[::-1]


on["/a.Svc/Check"] = check


@case
def yes_and_no():
    for path in "/a", "/safe/a":
        r = get(path)
        is_((r.status, user(r)), (200, path[::-1]))
    r = get("/no")
    is_((r.status, r.body.decode()), (403, "7 100% \u263a no"))
    r = get("/nobody")
    is_((r.status, r.body[:3]), (403, b"12 "))


@case
def the_deadline_is_told():
    def late(messages, context):
        context.add_callback(lambda: gone.append(1))
        while context.is_active():
            threading.Event().wait(0.01)
        return
        yield
    on["/a.Svc/Late"] = late
    gone.clear()

    def told():
        r = get("/late")
        assert r.body[:4] in (b"-110", b"4 De"), r.body
        return [s for s in seen if s[0] == "/a.Svc/Late"]
    # A slow machine may need the time for itself.
    eventually(told)
    assert 0 < told()[0][1] <= 0.2, seen
    eventually(lambda: len(gone) == len([s for s in seen if s[0] == "/a.Svc/Late"]))


@case
def a_client_goes_away():
    """The server sees its call cancelled, the connection lives on."""
    gone.clear()
    n = len(seen)
    clients = [Client() for _ in range(10)]
    for c in clients:
        c.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
    eventually(lambda: len(seen) >= n + 10)
    peers = {s[2] for s in seen[n:]}
    assert len(peers) <= 2, peers
    for i, c in enumerate(clients):
        c.reset() if i % 2 else c.close()
    eventually(lambda: len(gone) >= 10)
    is_(get("/after").status, 200)
    assert seen[-1][2] in {s[2] for s in seen[:-1]}


@case
def a_stream_of_messages():
    said = []

    def talk(messages, context):
        context.add_callback(lambda: gone.append(1))
        said.append(next(messages))
        for word in b"one", b"", b"x" * 3000000, b"two":
            yield word
            said.append(next(messages) == word)
        yield b"yes"
        next(messages, None)
    on["/a.Svc/Talk"] = talk
    gone.clear()
    is_(get("/talk").status, 200)
    is_(said, [b"/talk"] + [True] * 4)
    eventually(lambda: gone)


@case
def a_stream_that_is_ended_by_its_server():
    def end(messages, context):
        next(messages)
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "enough")
        yield
    on["/a.Svc/Talk"] = end
    r = get("/talk")
    is_((r.status, r.body), (403, b"8 enough"))


@case
def messages_of_any_size():
    for n in 1, 16383, 16384, 65535, 65536, 300000, 1 << 20:
        on["/a.Svc/Big"] = lambda ms, c: iter([b"v" * n])
        r = get("/big")
        # It becomes a header of the request, which the host takes or not.
        assert r.status == 200 or n > 10000, (n, r.status, r.body)
        assert not r.body.startswith(b"-"), (n, r.body)
    on["/a.Svc/Big"] = lambda ms, c: iter([b"v" * ((1 << 20) + 1)])
    is_(get("/big").body[:3], b"-90")
    on["/a.Svc/Big"] = lambda ms, c: iter([b"v" * (1 << 19)] * 3)
    is_(get("/big").body[:1] != b"-", True, "each for itself")


@case
def compressed_though_nobody_offered():
    def zipped(messages, context):
        context.set_compression(grpc.Compression.Gzip)
        yield b"x" * 1000
    on["/a.Svc/Zip"] = zipped
    r = get("/zip")
    # grpcio may know better than to compress for who does not offer it.
    assert r.status == 200 or r.body[:3] == b"-71", r.body


@case
def many_at_once():
    wrong, told = [], set()

    def one_client(k):
        c = Client()
        for i in range(30):
            path = f"/{k}.{i}"
            r = c.ask(path)
            if (r.status, user(r)) != (200, path[::-1]):
                wrong.append(r)
            told.add(path)
        c.close()
    threads = [threading.Thread(target=one_client, args=(k,)) for k in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    is_((wrong, len(told)), ([], 480))
    assert len({s[2] for s in seen[-480:]}) <= 4


@case
def a_server_that_goes_away():
    s = serve(9004)
    n = len(seen)
    clients = [Client() for _ in range(6)]
    for c in clients:
        c.send("GET /brief HTTP/1.1\r\nHost: a\r\n\r\n")
    eventually(lambda: len(seen) >= n + 6)
    s.stop(None)
    for c in clients:
        r = c.response()
        # A server that stops says CANCELLED or UNAVAILABLE, or resets.
        assert r.status in (403, 503), r.status
        c.close()
    r = get("/brief")
    is_((r.status, r.body[:4]), (503, b"-111"))


run()
PY
PYTHONPATH=$SRC/test/lib $PY "$T/cases.py"
weftd_stop
