#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# gRPC-Web, both kinds, over HTTP/1.1 and HTTP/2: what a host gets, what a browser gets, message by message.
. "$(dirname "$0")/../lib/net.sh"
PY=/usr/bin/python3                             # Debian's, whose packages these are
$PY -c 'import grpc, hpack' 2> /dev/null || skip "python3-grpcio or python3-h2 is not installed"

cat > "$T/weft.yaml" <<YAML
workers: 2
kernel: {mode: off}
listeners:
- {name: web, address: "127.0.0.1:8080", protocol: http, grpcWeb: true, routes: [calls]}
- {name: without, address: "127.0.0.1:8081", protocol: http, routes: [calls]}
routes:
- name: calls
  rules:
  - {matches: [{service: {value: real.Svc}}], backends: [{cluster: real}]}
  - matches: [{service: {value: again.Svc}}]
    backends: [{cluster: app}]
    retry: {attempts: 2, grpcStatus: [unavailable], backoff: 1ms, budget: {percent: 100, minPerSecond: 1000}}
  - {matches: [{service: {type: Prefix, value: shop.}}, {path: {value: /plain}}], backends: [{cluster: app}]}
clusters:
- {name: app, endpoints: [{address: "127.0.0.1:9001"}]}
- {name: real, protocol: http2, endpoints: [{address: "127.0.0.1:9002"}]}
YAML
weftd_start
cat > "$T/web.py" <<'PY'
import base64
from concurrent import futures
from grpc_rig import *
from http2_rig import Client2

app = Host(9001)
server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[grpc.method_handlers_generic_handler("real.Svc", {
    "Twice": grpc.unary_stream_rpc_method_handler(lambda m, c: iter([m, m[::-1]])),
    "No": grpc.unary_unary_rpc_method_handler(lambda m, c: c.abort(grpc.StatusCode.ABORTED, "no"))})])
server.add_insecure_port("127.0.0.1:9002")
server.start()
WEB, TEXT = "application/grpc-web+proto", "application/grpc-web-text+proto"


def post(path, kind=WEB, body=frame(b"ask"), headers="", port=8080):
    app.forget()
    return get(path, "POST", f"Content-Type: {kind}\r\nX-Grpc-Web: 1\r\n{headers}", body, port)


def unframed(body):
    """(messages, trailers)"""
    messages, trailers = [], None
    while body:
        flag, n = body[0], int.from_bytes(body[1:5], "big")
        assert trailers is None and len(body) >= 5 + n, body
        if flag & 0x80:
            trailers = dict(x.split(": ", 1) for x in body[5:5 + n].decode().split("\r\n") if x)
        else:
            messages.append(body[5:5 + n])
        body = body[5 + n:]
    return messages, trailers


def untext(body):
    """Groups of four, each of which may be padded."""
    return b"".join(base64.b64decode(body[i:i + 4], validate=True) for i in range(0, len(body), 4))


@case
def of_the_binary_kind():
    app.on["/shop.Cart/Add"] = says(b"one", b"two", status=9, text="no", headers="x-first: 1\r\n")
    r = post("/shop.Cart/Add", headers="grpc-timeout: 1H\r\n")
    is_((r.status, r.get("content-type"), r.get("x-first"), r.trailers), (200, "application/grpc-web", "1", []))
    is_(unframed(r.body), ([b"one", b"two"], {"grpc-status": "9", "grpc-message": "no"}))
    got = app.requests[0]
    is_((got.get("content-type"), got.get("te"), got.body), (["application/grpc+proto"], ["trailers"], frame(b"ask")))
    assert got.get("grpc-timeout")


@case
def of_the_text_kind():
    app.on["/shop.Cart/Add"] = says(b"one", bytes(range(256)) * 100)
    whole = frame(b"ask" * 1000)
    for body in (base64.b64encode(whole), b"".join(base64.b64encode(whole[i:i + 7]) for i in range(0, len(whole), 7)), base64.b64encode(b"")):
        r = post("/shop.Cart/Add", TEXT, body)
        is_(r.get("content-type"), "application/grpc-web-text")
        is_(unframed(untext(r.body)), ([b"one", bytes(range(256)) * 100], {"grpc-status": "0"}))
        is_(app.requests[0].body, untext(body))
        is_(app.requests[0].get("content-type"), ["application/grpc+proto"])


@case
def as_the_client_wants_it():
    app.on["/shop.Cart/Add"] = says(b"one")
    r = post("/shop.Cart/Add", WEB, headers="Accept: application/grpc-web-text\r\n")
    is_((r.get("content-type"), unframed(untext(r.body))[0]), ("application/grpc-web-text", [b"one"]))
    r = post("/shop.Cart/Add", TEXT, base64.b64encode(frame(b"x")), headers="Accept: application/grpc-web+proto\r\n")
    is_((r.get("content-type"), unframed(r.body)[0]), ("application/grpc-web", [b"one"]))


@case
def a_status_and_nothing_else():
    app.on["/shop.Cart/Add"] = only(5, "none")
    r = post("/shop.Cart/Add")
    is_((r.get("content-type"), r.get("grpc-status"), r.get("grpc-message"), r.body), ("application/grpc-web", "5", "none", b""))


@case
def answers_of_wefts_own():
    for kind, name in (WEB, "application/grpc-web"), (TEXT, "application/grpc-web-text"):
        r = post("/nobody.Svc/Do", kind, b"AAAAAAA=")
        is_((r.status, r.get("content-type"), r.get("grpc-status"), r.body), (200, name, "12", b""))
    app.on["/shop.Cart/Add"] = reply(b"<html>", "503 Oh")
    is_(post("/shop.Cart/Add").get("grpc-status"), "14")


@case
def what_is_no_base64():
    app.on["/shop.Cart/Add"] = says(b"one")
    for body in b"AAAA!AAA", b"AAAAA", b"A===":
        r = post("/shop.Cart/Add", TEXT, body)
        is_((r.get("grpc-status"), r.get("grpc-message")), ("13", "the body is not base64 (DPE)"), body)


@case
def a_host_that_breaks_off():
    def half(c, r):
        c.send(HEAD + b"\r\n" + chunk(frame(b"one")))
        return "close"
    app.on["/shop.Cart/Add"] = half
    for kind, plain in (WEB, lambda b: b), (TEXT, untext):
        messages, trailers = unframed(plain(post("/shop.Cart/Add", kind, b"AAAAAAA=").body))
        is_((messages, trailers["grpc-status"]), ([b"one"], "14"))


@case
def each_message_as_it_comes():
    said = threading.Semaphore(0)

    def slow(c, r):
        c.send(HEAD + b"\r\n")
        for m in b"a", b"bc", b"def":
            c.send(chunk(frame(m)))
            assert said.acquire(timeout=LIMIT)
        c.send("0\r\ngrpc-status: 0\r\n\r\n")
    app.on["/shop.Cart/Add"] = slow
    c = Client(8080)
    c.send(f"POST /shop.Cart/Add HTTP/1.1\r\nHost: a\r\nContent-Type: {TEXT}\r\nContent-Length: 8\r\n\r\nAAAAAAA=")
    c.head()
    for m in b"a", b"bc", b"def":
        want, got = base64.b64encode(frame(m)), b""
        while len(got) < len(want):
            n = int(c.until(b"\r\n"), 16)
            got += c.exactly(n)
            c.exactly(2)
        is_(got, want)
        said.release()
    is_(unframed(untext(c.chunks()[0])), ([], {"grpc-status": "0"}))


@case
def tried_again():
    app.on["/again.Svc/Do"] = in_turn(only(14), says(b"one"))
    r = post("/again.Svc/Do", TEXT, base64.b64encode(frame(b"a" * 100)))
    is_(unframed(untext(r.body))[0], [b"one"])
    is_([q.body for q in app.requests], [frame(b"a" * 100)] * 2)


@case
def over_http2_to_a_real_server():
    c = Client2(8080)
    for kind, plain, coded in (WEB, lambda b: b, lambda b: b), (TEXT, untext, base64.b64encode):
        r = c.get("/real.Svc/Twice", method="POST", body=coded(frame(b"xy")), headers=[("content-type", kind)])
        is_((r.status, r.get("content-type"), r.trailers), (200, kind.split("+")[0], []))
        messages, trailers = unframed(plain(r.body))
        is_((messages, trailers["grpc-status"]), ([b"xy", b"yx"], "0"))
        r = c.get("/real.Svc/No", method="POST", body=coded(frame(b"xy")), headers=[("content-type", kind)])
        is_((r.get("grpc-status"), r.get("grpc-message")), ("10", "no"))


@case
def other_requests_and_other_listeners():
    app.on["/plain"] = reply(b"ok")
    r = post("/plain", "text/plain", b"AAA=")
    is_((r.body, app.requests[0].get("content-type"), app.requests[0].body), (b"ok", ["text/plain"], b"AAA="))
    r = post("/plain", WEB, port=8081)
    is_((r.body, app.requests[0].get("content-type")), (b"ok", [WEB]))
    is_(post("/nobody.Svc/Do", WEB, port=8081).status, 404)


run()
PY
PYTHONPATH=$SRC/test/lib $PY "$T/web.py"

x() { weft explain http POST "http://127.0.0.1:$1/real.Svc/Twice" -H "content-type: $2"; }
for kind in application/grpc-web+proto application/grpc-web-text; do
	out=$(x 8080 $kind)
	like "$out" '^  call +Twice of service real.Svc$' "explain http: $kind is a call at this listener"
	like "$out" '^  rule +calls, rule 0 ' "and meets the rule of its service"
done
like "$(x 8081 application/grpc-web)" 'it wants service Exact real.Svc: the request is no gRPC call: a POST with content-type application/grpc' \
	"at another one it is not, and explain says what a call is"
weftd_stop
