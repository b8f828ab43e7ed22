#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Call-outs of filters and net filters over HTTP/1.1 and gRPC, on several workers: allowed and denied with what the answer says,
# late, too long, nobody there, a client that goes away, a stream of messages, keys of a worker, a reload while calls are out.
. "$(dirname "$0")/../lib/net.sh"
. "$SRC/test/lib/plugins.sh"
plugin_build "$SRC/test/plugins/ext_authz.c"
page_block c filter_key.c | plugin_text filter_key
conf() {  # settings of the listener's filter; of its workers' keys
	cat > "$T/next.yaml" <<-YAML
	workers: 2
	kernel: {mode: off}
	plugins: [{path: $PLUGINS/ext_authz.so}, {path: $PLUGINS/filter_key.so}]
	telemetry: {accessLog: [{path: $T/access.json, format: json}]}
	listeners:
	- {name: web, address: "127.0.0.1:8080", filters: [{type: ext-authz, cluster: auth${1:-}}], routes: [all]}
	- {name: keyed, address: "127.0.0.1:8081", filters: [{type: ext-authz, cluster: auth, keys: /keys${2:-}}], routes: [all]}
	- {name: keys, address: "127.0.0.1:8084", filters: [{type: key-check, cluster: auth}], routes: [all]}
	- {name: net, address: "127.0.0.1:8082", netFilters: [{type: ext-admit, cluster: auth, path: /admit, timeout: 60s}], routes: [all]}
	- {name: raw, address: "127.0.0.1:8083", protocol: tcp, netFilters: [{type: ext-admit, cluster: auth, path: /admit}], rules: [{backends: [{cluster: app}]}]}
	clusters:
	- {name: app, endpoints: [{address: "127.0.0.1:9001"}]}
	- {name: auth, endpoints: [{address: "127.0.0.1:9002"}]}
	- {name: none, endpoints: []}
	- {name: dead, endpoints: [{address: "127.0.0.1:9"}]}
	- {name: two, loadBalancer: round-robin, endpoints: [{address: "127.0.0.1:9"}, {address: "127.0.0.1:9002"}]}
	- {name: one, connectionPool: {maxRequests: 1, maxPending: 0}, endpoints: [{address: "127.0.0.1:9002"}]}
	- {name: rpc, protocol: bolt, endpoints: [{address: "127.0.0.1:9002"}]}
	routes:
	- name: all
	  rules:
	  - {matches: [{path: {value: /body}}], filters: [{type: ext-authz, cluster: auth, body: 100KiB}], backends: [{cluster: app}]}
	  - {matches: [{path: {value: /small}}], filters: [{type: ext-authz, cluster: auth, maxAnswer: 10}], backends: [{cluster: app}]}
	  - {matches: [{path: {value: /grpc}}], filters: [{type: ext-authz, cluster: auth, protocol: grpc, path: /a.Svc/Check}], backends: [{cluster: app}]}
	  - {matches: [{path: {value: /briefly}}], filters: [{type: ext-authz, cluster: auth, protocol: grpc, path: /a.Svc/Check, timeout: 50ms}], backends: [{cluster: app}]}
	  - {matches: [{path: {value: /stream}}], filters: [{type: ext-authz, cluster: auth, protocol: stream, path: /a.Svc/Talk, timeout: 60s}], backends: [{cluster: app}]}
	  - {matches: [{path: {value: /late}}], filters: [{type: ext-authz, cluster: auth, path: /stall, timeout: 50ms}], backends: [{cluster: app}]}
	  - {matches: [{path: {value: /open}}], filters: [{type: ext-authz, cluster: auth, path: /stall, timeout: 50ms, failOpen: true}], backends: [{cluster: app}]}
	  - {matches: [{path: {value: /gone}}], filters: [{type: ext-authz, cluster: auth, path: /stall, timeout: 600s}], backends: [{cluster: app}]}
	  - {matches: [{path: {value: /none}}], filters: [{type: ext-authz, cluster: none}], backends: [{cluster: app}]}
	  - {matches: [{path: {value: /dead}}], filters: [{type: ext-authz, cluster: dead}], backends: [{cluster: app}]}
	  - {matches: [{path: {value: /two}}], filters: [{type: ext-authz, cluster: two}], backends: [{cluster: app}]}
	  - {matches: [{path: {value: /one}}], filters: [{type: ext-authz, cluster: one, path: /stall, timeout: 600s}], backends: [{cluster: app}]}
	  - {matches: [{path: {value: /rpc}}], filters: [{type: ext-authz, cluster: rpc}], backends: [{cluster: app}]}
	  - {matches: [{path: {value: /word}}], filters: [{type: ext-authz, cluster: auth, path: "/a b"}], backends: [{cluster: app}]}
	  - backends: [{cluster: app}]
	YAML
	mv "$T/next.yaml" "$T/weft.yaml"
}
conf
weftd_start
export T B PLUGINS
export -f conf
cat > "$T/cases.py" <<'PY'
import collections
import os
import subprocess
from http_rig import *

app, auth = Host(9001), Host(9002)


def log():
    return open(os.environ["T"] + "/weftd.log").read()


def count(row, filter="ext-authz"):
    """0: nobody has called yet."""
    name = f'weft_callout_{row}{"" if row == "active" else "_total"}{{filter="{filter}"}} '
    return sum(int(float(l[len(name):])) for l in admin("/metrics").splitlines() if l.startswith(name))


tally = collections.Counter()       # what cases have made happen


def asked(path="/check"):
    return [r for r in auth.requests if r.path == path]


def reload(web="", keyed=""):
    subprocess.run(["bash", "-euc", 'conf "$@"; "$B/weft" reload > "$T/reload.out"', "bash", web, keyed], check=True)


def refused(port):
    """Closed without a word; by a reset that may come before connect() is back."""
    try:
        return Client(port).closed()
    except ConnectionResetError:
        return True


def message(text):
    return b"\0" + struct.pack(">I", len(text)) + text


def chunk(data):
    return b"%x\r\n%b\r\n" % (len(data), data)


GRPC = b"HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ntransfer-encoding: chunked\r\n\r\n"


def grpc(*messages, status=0, text=""):
    words = f"grpc-message: {text}\r\n" if text else ""

    def fn(c, r):
        c.send(GRPC + b"".join(chunk(message(m)) for m in messages) + f"0\r\ngrpc-status: {status}\r\n{words}\r\n".encode())
    return fn


@case
def allowed_with_what_the_answer_says():
    auth.on["/check"] = reply(b"", headers="x-auth-user: bob\r\nx-other: no\r\n")
    auth.forget()
    r = get("/path?q=1", headers="x-auth-user: mallory\r\n")
    is_((r.status, one(r.json()["headers"], "x-auth-user"), one(r.json()["headers"], "x-other")), (200, "bob", None))
    got = asked()[0]
    is_((got.method, got.body, got.get("host"), got.get("x-original"), got.get("content-length")),
        ("POST", b"", ["auth"], ["/path?q=1"], ["0"]))


@case
def denied_with_status_headers_and_body():
    app.forget()
    auth.on["/check"] = reply(b"<b>go away</b>", "401 No", "Content-Type: text/html\r\nx-why: you\r\n")
    r = get("/denied")
    is_((r.status, r.body, r.get("content-type"), r.get("x-why"), app.requests), (401, b"<b>go away</b>", "text/html", "you", []))
    line = logged("/denied")
    is_((line["flags"], line["detail"], line["notes"]), ("UAEX", "the authorization service says no", {"authz": "401 "}))


@case
def the_body_is_shown_and_goes_on():
    auth.on["/check"] = reply(b"")
    auth.forget()
    body = os.urandom(90 << 10)
    app.on["/body"] = lambda c, r: answer(c, r, r.body)
    is_(get("/body", "POST", body=body).body == body, True)
    is_((asked()[0].body == body, asked()[0].get("content-length")), (True, [str(len(body))]))
    is_(get("/body", "POST", body=bytes(101 << 10)).status, 413)
    is_(get("/body").status, 200)
    is_([len(r.body) for r in asked()], [len(body), 0])


@case
def nobody_answers_in_time():
    auth.on["/stall"] = stall
    app.forget()
    tally["timeouts"] += 2
    r = get("/late")
    is_((r.status, r.body[:4], app.requests), (503, b"-110", []))
    is_(get("/open").status, 200)


@case
def a_client_goes_away_while_it_is_asked_about():
    gone = threading.Event()

    def wait(c, r):
        c.closed()
        gone.set()
        return "close"
    auth.on["/stall"] = wait
    auth.forget()
    tally["cancelled"] += 1
    c = Client()
    c.send("GET /gone HTTP/1.1\r\nHost: a\r\n\r\n")
    eventually(lambda: asked("/stall"))
    c.close()
    assert gone.wait(LIMIT)
    assert "request ended before it was decided" in log()


@case
def nobody_is_there():
    tally["refused"] += 2
    tally["unreachable"] += 2
    for path, err in ("/none", b"-113"), ("/dead", b"-111"):
        r = get(path)
        is_((r.status, r.body[:4]), (503, err))
    auth.on["/check"] = reply(b"")
    for _ in range(4):
        is_(get("/two").status, 200)
    is_(get("/rpc").status, 503)
    is_(get("/word").status, 503)


@case
def a_limit_of_the_cluster():
    auth.on["/stall"] = stall
    auth.forget()
    c = Client()
    c.send("GET /one HTTP/1.1\r\nHost: a\r\n\r\n")
    eventually(lambda: asked("/stall"))
    r = get("/one")
    is_((r.status, r.body[:3]), (503, b"-16"))
    c.close()
    tally["overflows"] += 1
    tally["cancelled"] += 1


@case
def an_answer_longer_than_asked_for():
    tally["too_large"] += 2
    auth.on["/check"] = reply(b"0123456789")
    is_(get("/small").status, 200)
    auth.on["/check"] = reply(b"0123456789a")
    r = get("/small")
    is_((r.status, r.body[:3]), (503, b"-90"))
    auth.on["/check"] = lambda c, r: c.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(bytes(1 << 20)) * 20)
    is_(get("/small").status, 503)


@case
def an_answer_that_ends_early():
    tally["broken"] += 2
    auth.on["/check"] = lambda c, r: c.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc") or "close"
    r = get("/early")
    is_((r.status, r.body[:4]), (503, b"-104"))
    auth.on["/check"] = lambda c, r: c.send("nonsense\r\n\r\n") or "close"
    r = get("/early")
    is_((r.status, r.body[:3]), (503, b"-71"))


@case
def by_grpc():
    auth.on["/a.Svc/Check"] = grpc(b"bob")
    auth.forget()
    r = get("/grpc")
    is_((r.status, one(r.json()["headers"], "x-auth-user")), (200, "bob"))
    got = asked("/a.Svc/Check")[0]
    is_((got.method, got.body, got.get("content-type"), got.get("te")),
        ("POST", message(b"/grpc"), ["application/grpc"], ["trailers"]))
    assert got.get("grpc-timeout")
    auth.on["/a.Svc/Check"] = grpc(status=7, text="not%20you")
    r = get("/grpc")
    is_((r.status, r.body), (403, b"7 not you +"))
    auth.on["/a.Svc/Check"] = reply(b"oops", "503 No")
    is_(get("/grpc").body, b"14 host answered HTTP 503")
    auth.on["/a.Svc/Check"] = lambda c, r: c.send(GRPC + chunk(b"\1\0\0\0\1a") + b"0\r\ngrpc-status: 0\r\n\r\n")
    is_(get("/grpc").body[:3], b"-71")
    auth.on["/a.Svc/Check"] = lambda c, r: c.send(GRPC + chunk(b"\0\0\0\0\2a") + b"0\r\ngrpc-status: 0\r\n\r\n")
    is_(get("/grpc").body[:3], b"-71")
    auth.on["/a.Svc/Check"] = stall
    is_(get("/briefly").body[:4], b"-110")
    tally["broken"] += 2
    tally["timeouts"] += 1


@case
def a_stream_of_messages():
    def heard(c):
        data = b""
        while len(data) < 5 or len(data) < 5 + struct.unpack(">I", data[1:5])[0]:
            data += c.exactly(int(c.until(b"\r\n"), 16))
            c.exactly(2)
        return data

    def talk(c, r):
        c.send(GRPC)
        is_(heard(c), message(b"/stream"))
        for word in b"one", b"x" * 300000, b"two":
            c.send(chunk(message(word)))
            is_(heard(c) == message(word), True)
        c.send(chunk(message(b"yes")))
        ended.append(c.closed())
        return "close"
    ended = []
    auth.on["early /a.Svc/Talk"] = talk
    is_(get("/stream").status, 200)
    eventually(lambda: ended == [True])
    tally["cancelled"] += 1


@case
def the_example_of_the_page():
    auth.on["/check"] = lambda c, r: answer(c, r, b"", "200 OK" if r.get("x-api-key") == ["good"] else "404 Not Found")
    is_(get("/", port=8084).status, 401)
    is_(get("/", port=8084, headers="x-api-key: bad\r\n").status, 403)
    r = get("/", port=8084, headers="x-api-key: good\r\n")
    is_((r.status, one(r.json()["headers"], "x-api-key")), (200, None))


@case
def keys_come_before_requests():
    auth.on["/check"] = reply(b"")
    keys = threading.Event()
    auth.on["/keys2"] = lambda c, r: keys.wait(LIMIT) and answer(c, r, b"k-2")
    reload("", "2")
    eventually(lambda: len(asked("/keys2")) == 2)
    clients = [Client(8081) for _ in range(8)]
    for c in clients:
        c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    eventually(lambda: metric("weft_filter_active") == 8)
    clients.pop().close()
    eventually(lambda: metric("weft_filter_active") == 7)
    keys.set()
    for c in clients:
        is_(one(c.response().json()["headers"], "x-keys"), "k-2")


@case
def a_reload_while_calls_are_out():
    """Requests go on with the filter that they began with; what its worker's part has out ends with the last of them."""
    keys, go = threading.Event(), threading.Event()
    auth.on["/keys3"] = lambda c, r: keys.set() or stall(c, r)
    auth.on["/check"] = lambda c, r: go.wait(LIMIT) and answer(c, r, b"")
    reload("", "3")
    eventually(lambda: len(asked("/keys3")) == 2)
    auth.forget()
    clients = [Client() for _ in range(4)]
    for c in clients:
        c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    eventually(lambda: len(asked()) == 4)
    auth.on["/other"] = reply(b"", "418 No")
    reload(", path: /other", "4")
    eventually(lambda: len(asked("/keys4")) == 2)
    is_(get("/").status, 418)
    go.set()
    for c in clients:
        is_(c.response().status, 200)
    eventually(lambda: log().count("worker ends, and its call with it") == 2)
    reload()


@case
def a_connection_is_asked_about():
    auth.on["/admit"] = reply(b"")
    auth.forget()
    for port in 8082, 8083:
        c = Client(port)
        is_(c.ask("/").status, 200)
        is_(asked("/admit")[-1].get("x-original"), [str(c.sock.getsockname()[1])])
        c.close()
    auth.on["/admit"] = reply(b"", "403 No")
    for port in 8082, 8083:
        assert refused(port)
    assert "not admitted: 403" in log()
    gone = threading.Event()

    def wait(c, r):
        c.closed()
        gone.set()
        return "close"
    auth.on["/admit"] = wait
    auth.forget()
    c = Client(8082)
    eventually(lambda: asked("/admit"))
    c.reset()
    assert gone.wait(LIMIT)
    eventually(lambda: "connection ended before it was decided" in log())


@case
def each_call_has_its_end():
    """Of the workers' keys two found nobody at the start, which is what the log tells, two were not waited for."""
    assert "callout: ext-authz, cluster auth: Connection refused: " in log()
    tally["cancelled"] += 2
    tally["unreachable"] += 2
    eventually(lambda: count("active") == 0 and count("active", "ext-admit") == 0)
    for row, n in tally.items():
        eventually(lambda: count(row) == n)
    eventually(lambda: count("cancelled", "ext-admit") == 1)
    ends = ["answered", "cancelled", "timeouts", "unreachable", "broken", "too_large", "overflows"]
    for f in "ext-authz", "ext-admit":
        is_(sum(count(e, f) for e in ends), count("calls", f))
    assert count("answered") > 10


run()
PY
PYTHONPATH=$SRC/test/lib python3 "$T/cases.py"

# A cluster that is not there, at each place where one is named.
refused() {
	sed "$1" "$T/weft.yaml" > "$T/bad.yaml"
	like "$(weft config check "$T/bad.yaml" 2>&1)" "bad.yaml:$2: .*$3" "refused: $1"
}
refused '7s/cluster: auth/cluster: nobody/' 7 'nobody'
refused '10s/cluster: auth/cluster: nobody/' 10 'nobody'
refused '/value: .small/s/cluster: auth/cluster: nobody/' '[0-9]+' 'nobody'
refused '7s/cluster: auth/cluster: ""/' 7 'cluster is empty'
like "$(weft explain http GET http://a/grpc --listener web)" '^  filters +ext-authz of listener and rule \(asks auth\)$' "explain names who is asked"
like "$(weft filters ext-admit)" '^ext-admit +net filter +listener.*,listener [a-z]+ +- +- +- +auth +[0-9]+ +0 +0$' "weft filters: a net filter's calls"
like "$(weft filters ext-authz)" '^ext-authz +filter +listener.*,route all rule 0,.* auth,.*none.* [0-9]+ +0 +[0-9]+$' "and a filter's"
weftd_stop
