#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# gRPC by a real client and a real server (python3-grpcio), HTTP/2 on both sides: the four shapes of streaming, message by
# message; deadlines, cancelling, compression, metadata, retries counted at the host; a host that is gone.
. "$(dirname "$0")/../lib/net.sh"
PY=/usr/bin/python3                             # Debian's, whose package it is
$PY -c 'import grpc' 2> /dev/null || skip "python3-grpcio is not installed"

cat > "$T/weft.yaml" <<YAML
workers: 2
kernel: {mode: off}
listeners:
- {name: rpc, address: "127.0.0.1:8080", protocol: http, routes: [calls]}
- {name: dial, address: "127.0.0.1:40101", protocol: http-proxy}
routes:
- name: calls
  rules:
  - matches: [{service: {value: again.Svc}}]
    backends: [{cluster: app}]
    retry: {attempts: 3, grpcStatus: [unavailable], backoff: 1ms, budget: {percent: 100, minPerSecond: 1000}}
  - {matches: [{service: {value: brief.Svc}}], backends: [{cluster: app}], timeouts: {request: 300ms}}
  - backends: [{cluster: app}]
- {name: mine, rules: [{matches: [{service: {value: s.Svc}}], backends: [{cluster: app}]}]}
clusters:
- {name: app, protocol: http2, endpoints: [{address: "127.0.0.1:9001"}]}
services:
- {name: only.default, addresses: [10.96.0.1], ports: [{port: 9000}], cluster: app}
- {name: two.default, addresses: [10.96.0.2], ports: [{port: 9000, appProtocol: grpc}, {port: 80}], cluster: app}
- {name: which.default, addresses: [10.96.0.3], ports: [{port: 9000}, {port: 80}], cluster: app}
- {name: routed.default, addresses: [10.96.0.4], ports: [{port: 9000}], routes: [mine]}
telemetry: {accessLog: [{path: $T/access.log, format: json}]}
YAML
weftd_start
cat > "$T/streams.py" <<'PY'
import queue
from concurrent import futures
from grpc_rig import *

on, seen = {}, []


class Any(grpc.GenericRpcHandler):
    """on[path] = fn(messages, context), a generator of answers."""

    def service(self, details):
        fn = on.get(details.method)
        if not fn:
            return None

        def run(messages, context):
            seen.append((details.method, dict(context.invocation_metadata()), context.time_remaining()))
            yield from fn(messages, context)
        return grpc.stream_stream_rpc_method_handler(run)


server = grpc.server(futures.ThreadPoolExecutor(16), handlers=[Any()])
server.add_insecure_port("127.0.0.1:9001")
server.start()
channel = grpc.insecure_channel("127.0.0.1:8080", OPTIONS)


def ask(path, message=b"ask", **kw):
    return call(path, message, channel=channel, **kw)


@case
def one_and_one():
    on["/s.Svc/One"] = lambda ms, c: (m[::-1] for m in ms)
    for n in (0, 1, 5, 16384, 65535, 300000, 3000000):
        r = ask("/s.Svc/One", bytes(range(256)) * (n // 256) + b"x" * (n % 256))
        is_((r.code, [len(m) for m in r.messages]), ("OK", [n]), r.details)


@case
def one_and_many():
    on["/s.Svc/Many"] = lambda ms, c: (b"%d" % i * 1000 for _ in ms for i in range(500))
    r = ask("/s.Svc/Many")
    is_((r.code, len(r.messages), r.messages[499]), ("OK", 500, b"499" * 1000))


@case
def many_and_one():
    on["/s.Svc/Sum"] = lambda ms, c: iter([b"%d" % sum(len(m) for m in ms)])
    is_(channel.stream_unary("/s.Svc/Sum")(iter([b"x" * 10000] * 500), timeout=LIMIT), b"5000000")


@case
def each_message_as_it_comes():
    """Neither side says more before it heard the other: what is held back anywhere stops it."""
    on["/s.Svc/Talk"] = lambda ms, c: (m + b"!" for m in ms)
    said = queue.Queue()
    rpc = channel.stream_stream("/s.Svc/Talk")(iter(said.get, None), timeout=LIMIT)
    for i in range(200):
        said.put(b"%d" % i)
        is_(next(rpc), b"%d!" % i)
    said.put(None)
    is_(list(rpc), [])
    is_(rpc.code().name, "OK")


@case
def a_head_before_any_message():
    def wait(ms, c):
        c.send_initial_metadata([("x-early", "1")])
        yield from ms
    on["/s.Svc/Head"] = wait
    said = queue.Queue()
    rpc = channel.stream_stream("/s.Svc/Head")(iter(said.get, None), timeout=LIMIT)
    is_(dict(rpc.initial_metadata())["x-early"], "1")
    said.put(None)
    is_(list(rpc), [])


@case
def metadata_both_ways():
    def tell(ms, c):
        c.send_initial_metadata([("x-a", "1"), ("x-a-bin", b"\0\1\xff")])
        c.set_trailing_metadata([("x-b", "2"), ("x-b-bin", b"\xfe" * 2000)])
        return iter(ms)
    on["/s.Svc/Meta"] = tell
    r = ask("/s.Svc/Meta", metadata=[("x-q", "3"), ("x-q-bin", b"\x00\x80")])
    is_((r.metadata["x-a"], r.metadata["x-a-bin"], r.trailers["x-b"], r.trailers["x-b-bin"]), ("1", b"\0\1\xff", "2", b"\xfe" * 2000))
    got = seen[-1][1]
    is_((got["x-q"], got["x-q-bin"]), ("3", b"\x00\x80"))


@case
def compressed_both_ways():
    def zipped(ms, c):
        c.set_compression(grpc.Compression.Gzip)
        return iter([b"".join(ms) * 2])
    on["/s.Svc/Zip"] = zipped
    with grpc.insecure_channel("127.0.0.1:8080", OPTIONS, compression=grpc.Compression.Gzip) as c:
        r = call("/s.Svc/Zip", b"x" * 100000, channel=c)
    is_((r.code, r.messages), ("OK", [b"x" * 200000]))
    eventually(lambda: [x for x in map(json.loads, open(os.environ["T"] + "/access.log")) if x["path"] == "/s.Svc/Zip"])
    x = next(x for x in map(json.loads, open(os.environ["T"] + "/access.log")) if x["path"] == "/s.Svc/Zip")
    assert x["bytes_in"] < 10000 and x["bytes_out"] < 10000, x


@case
def a_deadline_that_is_passed_on():
    on["/s.Svc/Time"] = on["/brief.Svc/Time"] = lambda ms, c: iter(ms)
    ask("/s.Svc/Time", timeout=50)
    assert 0 < seen[-1][2] < 51, seen[-1]
    ask("/brief.Svc/Time", timeout=50)
    assert seen[-1][2] < 1, seen[-1]
    over = threading.Event()

    def forever(ms, c):
        c.add_callback(over.set)
        over.wait(LIMIT)
        yield from ms
    on["/brief.Svc/Slow"] = forever
    r = ask("/brief.Svc/Slow")
    is_(r.code, "DEADLINE_EXCEEDED")
    assert over.wait(LIMIT), "the host's call is cancelled"


@case
def cancelled_by_the_client():
    over, began = threading.Event(), threading.Event()

    def forever(ms, c):
        c.add_callback(over.set)
        yield b"one"
        began.set()
        over.wait(LIMIT)
    on["/s.Svc/Forever"] = forever
    rpc = channel.unary_stream("/s.Svc/Forever")(b"ask", timeout=LIMIT)
    is_(next(rpc), b"one")
    began.wait(LIMIT)
    rpc.cancel()
    assert over.wait(LIMIT), "the host hears of it"
    is_(ask("/s.Svc/One", b"ab").messages, [b"ba"])


@case
def an_early_end():
    """A status while the client is still sending; others on the connection go on."""
    def enough(ms, c):
        next(ms)
        c.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "enough")
        yield
    on["/s.Svc/Enough"] = enough
    said = queue.Queue()
    said.put(b"one")
    rpc = channel.stream_stream("/s.Svc/Enough")(iter(said.get, None), timeout=LIMIT)
    try:
        list(rpc)
    except grpc.RpcError:
        pass
    is_((rpc.code().name, rpc.details()), ("RESOURCE_EXHAUSTED", "enough"))
    said.put(None)
    is_(ask("/s.Svc/One", b"ab").messages, [b"ba"])


@case
def tried_again_exactly():
    def failing(times, code, *metadata):
        left = [times]

        def fn(ms, c):
            if left[0]:
                left[0] -= 1
                c.set_trailing_metadata(metadata)
                c.abort(code, "not now")
            yield from ms
        return fn
    un = grpc.StatusCode.UNAVAILABLE
    for times, code, metadata, want, tries in ((2, un, (), "OK", 3), (9, un, (), "UNAVAILABLE", 4), (1, grpc.StatusCode.INTERNAL, (), "INTERNAL", 1),
                                               (1, un, (("grpc-retry-pushback-ms", "-1"),), "UNAVAILABLE", 1),
                                               (1, un, (("grpc-retry-pushback-ms", "20"),), "OK", 2)):
        on["/again.Svc/Do"] = failing(times, code, *metadata)
        seen.clear()
        r = ask("/again.Svc/Do")
        is_((r.code, len(seen)), (want, tries), (times, code, metadata))
        is_([s[1].get("grpc-previous-rpc-attempts") for s in seen], [None] + [str(i) for i in range(1, tries)])


@case
def what_the_host_does_not_have():
    is_(ask("/s.Svc/Nothing").code, "UNIMPLEMENTED")


def dialled(authority, path="/s.Svc/One"):
    with grpc.insecure_channel("127.0.0.1:40101", OPTIONS + (("grpc.default_authority", authority),)) as c:
        r = call(path, b"ab", channel=c)
    return r.code if r.code == "OK" else f"{r.code}: {r.details}"


@case
def dialled_by_the_name_of_the_service():
    for authority in "only.default", "only.default:9000", "two.default", "which.default:80", "routed.default":
        is_(dialled(authority), "OK", authority)
    for authority, words in (("which.default", "the service has several ports, none of appProtocol grpc: one must be named (NR)"),
                             ("nobody.default", "no such service (NR)"), ("only.default:80", "the service has no such port (NR)")):
        is_(dialled(authority), "UNIMPLEMENTED: " + words)
    is_(dialled("routed.default", "/x.Svc/Do"), "UNIMPLEMENTED: no route for this request (NR)")


@case
def many_at_once():
    on["/s.Svc/Echo"] = lambda ms, c: iter(ms)
    with futures.ThreadPoolExecutor(32) as pool:
        got = list(pool.map(lambda i: ask("/s.Svc/Echo", b"%d" % i * 100).messages, range(500)))
    is_(got, [[b"%d" % i * 100] for i in range(500)])


@case
def a_host_that_goes():
    """In the middle of a stream: what came is kept, and the client hears why it ended."""
    began = threading.Event()

    def forever(ms, c):
        yield b"one"
        began.wait(LIMIT)
    on["/s.Svc/Gone"] = forever
    rpc = channel.unary_stream("/s.Svc/Gone")(b"ask", timeout=LIMIT)
    is_(next(rpc), b"one")
    server.stop(0)
    try:
        list(rpc)
    except grpc.RpcError:
        pass
    began.set()
    assert rpc.code().name in ("UNAVAILABLE", "CANCELLED"), (rpc.code(), rpc.details())
    eventually(lambda: ask("/s.Svc/One").code == "UNAVAILABLE")


run()
PY
T=$T PYTHONPATH=$SRC/test/lib $PY "$T/streams.py"
weftd_stop

# The page's listener for those who dial.
awk '/^```yaml$/ { n++; on = n == 2; next } /^```$/ { on = 0 } on' "$SRC/docs/grpc.md" > "$T/weft.yaml"
weftd_start
cat > "$T/dial.py" <<'PY'
from concurrent import futures
from grpc_rig import *
server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[grpc.method_handlers_generic_handler(
    "shop.Orders", {"Get": grpc.unary_unary_rpc_method_handler(lambda m, c: m + b"!")})])
server.add_insecure_port("127.0.0.1:9001")
server.start()
with grpc.insecure_channel("127.0.0.1:40101", OPTIONS + (("grpc.default_authority", "orders.default"),)) as c:
    is_(call("/shop.Orders/Get", b"a", channel=c).messages, [b"a!"])
print("  ok: docs/grpc.md: its listener for those who dial")
server.stop(0)
PY
PYTHONPATH=$SRC/test/lib $PY "$T/dial.py"
weftd_stop
