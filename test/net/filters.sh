#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Filters of a listener and of rules, over HTTP/1.1 and several workers: each verdict in each direction, bodies that are
# waited with, changed and collected, notes, routes and subsets, and that each filter that was reached is done once.
. "$(dirname "$0")/../lib/net.sh"
. "$SRC/test/lib/plugins.sh"
plugin_build "$SRC/test/plugins/filter_probe.c"
conf() {  # filters of the listener
	cat > "$T/next.yaml" <<-YAML
	workers: 2
	kernel: {mode: off}
	plugins: [{path: $PLUGINS/filter_probe.so}]
	telemetry: {accessLog: [{path: $T/access.json, format: json}, {path: $T/access.log}]}
	listeners:
	- {name: web, address: "127.0.0.1:8080", filters: [$1], routes: [all]}
	- {name: needs, address: "127.0.0.1:8081", filters: [{type: probe-needs, tag: given}], routes: [all]}
	- {name: broken, address: "127.0.0.1:8082", filters: [{type: probe-two, tag: broken}], routes: [all]}
	clusters:
	- name: app
	  subsets: {keys: [[v]]}
	  endpoints: [{address: "127.0.0.1:9001", metadata: {v: "1"}}, {address: "127.0.0.1:9002", metadata: {v: "2"}}]
	routes:
	- name: all
	  rules:
	  - matches: [{path: {value: /rule}}]
	    filters: [{type: probe-two, tag: rule-two}, {type: probe, tag: rule}]
	    backends: [{cluster: app, subset: {v: "1"}}]
	  - matches: [{path: {value: /redirect}}]
	    filters: [{type: RequestRedirect, path: {type: ReplaceFullPath, value: /gone}}, {type: probe-two}]
	  - matches: [{path: {value: /retry}}]
	    retry: {attempts: 2, on: [5xx], backoff: 1ms, budget: {percent: 100, minPerSecond: 1000}}
	    backends: [{cluster: app, subset: {v: "1"}}]
	  - matches: [{path: {value: /needs}}]
	    filters: [{type: probe-needs}]
	    backends: [{cluster: app}]
	  - matches: [{path: {value: /any}}]
	    backends: [{cluster: app}]
	  - matches: [{path: {value: /slow}}]
	    timeouts: {request: 300ms}
	    backends: [{cluster: app, subset: {v: "1"}}]
	  - backends: [{cluster: app, subset: {v: "1"}}]
	YAML
	mv "$T/next.yaml" "$T/weft.yaml"
}
conf "{type: probe, tag: listener}"
weftd_start
export T
cat > "$T/cases.py" <<'PY'
import os
from http_rig import *

host, other = Host(9001), Host(9002)


def probe(words, path="/", method="GET", body=b"", headers="", two="", conn=None):
    h = f"x-probe: {words}\r\n" + (f"x-probe-two: {two}\r\n" if two else "") + headers
    return conn.ask(path, method, h, body) if conn else get(path, method, h, body)


def log():
    return open(os.environ["T"] + "/weftd.log").read()


def done(path, seen):
    """The line of a filter that is done, exactly once."""
    eventually(lambda: f"done {path} " in log())
    lines = [l for l in log().splitlines() if f"done {path} " in l]
    assert len(lines) == 1 and lines[0].endswith(" " + seen), lines


def chunked(path, words, pieces, trailers=""):
    c = Client()
    c.send(f"POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nx-probe: {words}\r\n\r\n")
    for p in pieces:
        c.send(b"%x\r\n%b\r\n" % (len(p), p))
    c.send(f"0\r\n{trailers}\r\n")
    return c, c.response()


@case
def each_part_is_shown_once_and_in_order():
    host.on["/parts"] = lambda c, r: c.send("HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
                                            "Trailer: t\r\n\r\n5\r\nhello\r\n0\r\nt: v\r\n\r\n")
    c, r = chunked("/parts", "i:set:x-hint=1,rt:set:t=w", [b"body"], "t: v\r\n")
    is_((r.status, r.body, r.trailers, r.interim), (200, b"hello", [("t", "w")], [103]))
    is_(r.get("x-seen-probe"), "listener:,q,qb4,qb0e,qt,i,r")
    done("/parts", "listener:,q,qb4,qb0e,qt,i,r,rb5,rb0e,rt")
    r = probe("", "/none")
    is_(r.get("x-seen-probe"), "listener:,q,r")
    done("/none", f"listener:,q,r,rb{len(r.body)},rb0e" if f"rb{len(r.body)},rb0e" in log() else f"listener:,q,r,rb{len(r.body)}e")
    r = probe("", "/head", "HEAD")
    done("/head", "listener:,q,r")


@case
def a_rule_comes_behind_its_listener():
    r = probe("q:note:a=b", "/rule/x", two="q:note:c=d e")
    is_((r.get("x-seen-probe"), r.get("x-seen-probe-two")), ("rule:,q,r", "rule-two:,q,r"))
    is_([k for k, _ in r.headers if k.startswith("x-seen")], ["x-seen-probe-two", "x-seen-probe"])
    line = logged("/rule/x")
    is_(line["notes"], {"tags": "rule+rule-two", "a": "b", "c": "d e"})
    eventually(lambda: "c=d e" in open(os.environ["T"] + "/access.log").read())
    is_(probe("").get("x-seen-probe-two"), None)


@case
def a_request_may_be_answered():
    for part in "q", "qb":
        host.forget()
        r = probe(f"{part}:reply:418", "/reply/" + part, "POST", b"some")
        is_((r.status, r.body, r.get("x-by"), r.get("content-type")), (418, b"probed\n", "probe", "text/x-probe"))
        assert r.get("x-seen-probe").startswith("listener:,q"), r.headers
        line = logged("/reply/" + part)
        is_((line["status"], line["flags"], line["detail"]), (418, "UAEX", "probed"))
        assert part == "qb" or not host.requests
    r = probe("q:wait:5,q:then:reply", "/reply/later")
    is_((r.status, r.body), (418, b"probed\n"))
    r = probe("", "/rule/two", two="q:reply:401")
    is_((r.status, r.get("x-by"), r.get("x-seen-probe")), (401, "probe-two", "rule:,q,r"))


@case
def an_answer_may_be_replaced():
    r = probe("r:reply:500", "/replace/r")
    is_((r.status, r.body, r.get("x-seen-probe")), (500, b"probed\n", None))
    r = probe("r:wait:5,r:then:reply", "/replace/later", "POST", b"x")
    is_(r.status, 418)
    r = probe("", "/rule/inner", two="r:reply:503")
    is_((r.status, r.get("x-seen-probe"), r.get("x-seen-probe-two")), (503, "rule:,q,r", None))
    r = probe("r:collect:1000,rb:reply:504", "/replace/rb")
    is_(r.status, 504)


@case
def a_stream_may_be_ended():
    for words in "q:reset", "qb:reset", "r:reset", "rb:reset", "q:wait:5,q:then:reset", "r:wait:5,r:then:reset", "r:collect:9999,rb:reset":
        path = "/reset/" + words.replace(":", "-").replace(",", "-")
        try:
            r = probe(words, path, "POST", b"x" * 50)
            assert words == "rb:reset", (words, r.status)
        except (EOFError, ConnectionResetError):
            pass
        is_(logged(path)["detail"], "a filter ended the stream")
    host.on["/reset/i"] = lambda c, r: c.send("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    try:
        probe("i:reset", "/reset/i")
        assert False
    except (EOFError, ConnectionResetError):
        done("/reset/i", "listener:,q,i")


@case
def bodies_may_be_changed():
    host.on["/change"] = lambda c, r: answer(c, r, r.body)
    c = Client()
    for words, sent, want in (("qb:up", b"abc", b"ABC"), ("qb:add:-more", b"abc", b"abc-more"), ("qb:drop", b"abc", b""),
                              ("rb:up", b"abc", b"ABC"), ("rb:drop", b"abc", b""), ("q:collect:9,qb:up", b"abc", b"ABC"),
                              ("q:collect:9,qb:drop", b"abc", b""), ("r:collect:9,rb:add:xyz", b"abc", b"abcxyz"),
                              ("qb:up,qb:wait:3,rb:add:!,rb:wait:3", b"abc", b"ABC!")):
        is_(probe(words, "/change", "POST", sent, conn=c).body, want, words)
    r = probe("q:collect:9,qb:add:d", "/change", "POST", b"abc", conn=c)
    is_((host.requests[-1].get("content-length"), r.body), (["4"], b"abcd"), "a body that was collected has a length")
    r = probe("qb:add:d", "/change", "POST", b"abc", conn=c)
    is_(host.requests[-1].get("transfer-encoding"), ["chunked"], "else it has none")


@case
def what_waits_is_not_shown_again():
    for words in "q:wait:20", "qb:wait:20", "r:wait:20", "rb:wait:20", "q:wait:9,qb:wait:9,r:wait:9,rb:wait:9":
        path = "/wait/" + words.replace(":", "-").replace(",", "-")
        r = probe(words, path, "POST", b"x" * 1000)
        is_((r.status, r.json()["body"]), (200, 1000))
        eventually(lambda: f"done {path} " in log())
        seen = [l for l in log().splitlines() if f"done {path} " in l]
        assert len(seen) == 1 and seen[0].count(",q,") == 1 and seen[0].count(",r") >= 1, seen
    c, r = chunked("/wait/trailers", "qt:wait:20", [b"ab", b"cd"], "t: v\r\n")
    is_((r.status, host.requests[-1].body, host.requests[-1].trailers), (200, b"abcd", [("t", "v")]))


@case
def a_body_is_collected_up_to_a_bound():
    host.forget()
    is_(probe("q:collect:1000", "/fits", "POST", b"x" * 1000).status, 200)
    is_(probe("q:collect:1000", "/413", "POST", b"x" * 1001).status, 413)
    c = Client()
    c.send("POST /413-chunked HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nx-probe: q:collect:1000\r\n\r\n")
    for _ in range(3):
        c.send(b"190\r\n" + b"y" * 400 + b"\r\n")
    is_(c.response().status, 413)
    is_(host.paths(), ["/fits"])
    host.on["/502"] = reply(b"x" * 1001)
    is_(probe("r:collect:1000", "/502").status, 502)
    is_(logged("/502")["detail"], "the answer's body is longer than a filter collects")


@case
def expect_100_is_answered_when_a_filter_wants_the_body():
    c = Client()
    c.send("POST /expect HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\nx-probe: q:collect:9\r\n\r\n")
    is_(c.head()[0], 100)
    c.send(b"body")
    is_((c.response().status, host.requests[-1].body), (200, b"body"))


@case
def a_route_is_looked_up_again():
    r = probe("q:path:/rule/again,q:set:x-new=1", "/first", "POST", b"body", two="q:note:z=1")
    is_((r.status, r.get("x-seen-probe-two"), r.json()["path"], r.json()["body"]), (200, "rule-two:,q,qb4e,r", "/rule/again", 4))
    r = probe("q:wait:5,q:path:/redirect", "/second")
    is_((r.status, r.get("location")), (302, "http://a.example/gone"))
    is_(probe("q:path:/a%00b", "/third").status, 400)
    is_(logged("/third")["notes"]["tags"], "listener")


@case
def a_subset_is_narrowed():
    for v, port in ("1", host), ("2", other):
        host.forget(), other.forget()
        for _ in range(4):
            is_(probe(f"q:subset:v={v}", "/any").status, 200)
        is_(len(port.requests), 4)
    r = probe("q:subset:v=3", "/any/none")
    is_((r.status, logged("/any/none")["flags"]), (503, "UH"))


@case
def one_that_cannot_run_is_not_passed_by():
    host.forget(), other.forget()
    is_((get("/needs/a").status, get("/needs/b", port=8081).status, get("/x", port=8082).status), (503, 200, 503))
    is_((logged("/needs/a")["flags"], logged("/needs/a")["detail"]), ("UAEX", "a filter of the rule lacks settings of the listener"))
    is_(logged("/x")["detail"], "a filter of the request cannot run")
    is_(len(host.requests) + len(other.requests), 1)
    eventually(lambda: metric("weft_filter_unusable_total") == 2)
    assert "filter probe-two: tag: broken is broken; requests that it is for are answered 503" in log()


@case
def retries_are_not_the_filters():
    """The request's body as they left it; they see one answer."""
    n = []
    host.on["/retry"] = lambda c, r: (n.append(r.body), answer(c, r, b"end", "200 OK" if len(n) == 3 else "503 No"))[1]
    r = probe("qb:up", "/retry", "POST", b"abc")
    is_((r.status, n, r.get("x-seen-probe")), (200, [b"ABC"] * 3, "listener:,q,qb3e,r"))
    n.clear()
    r = probe("q:collect:9,qb:up", "/retry", "POST", b"abc")
    is_((r.status, n), (200, [b"ABC"] * 3))


@case
def times_run_while_a_filter_waits():
    r = probe("q:wait:60000", "/slow/q")
    is_((r.status, r.get("x-seen-probe")), (504, "listener:,q,r"))
    r = probe("r:wait:60000", "/slow/r")
    is_((r.status, r.get("x-seen-probe")), (504, None), "which has seen another answer")
    done("/slow/r", "listener:,q,r")


@case
def a_host_that_goes_while_its_answer_waits():
    def half(c, r):
        c.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
        return "close"
    host.on["/half"] = half
    r = probe("r:collect:200", "/half")
    is_((r.status, logged("/half")["flags"]), (502, "UC"))


@case
def slow_bodies_are_bounded():
    """Ten MB each way while a filter waits with every piece: both senders are held back, and all of it comes."""
    n, size = 4, 10 << 20
    big = os.urandom(1 << 16) * (size >> 16)
    host.on["/drip"] = lambda c, r: answer(c, r, r.body)
    probe("", "/drip", "POST", big)
    before, got = rss(proxy()), []

    def client():
        c = Client()
        c.send(f"POST /drip HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\nx-probe: qb:wait:3,r:wait:3,rb:wait:3\r\n\r\n")
        c.send(big)
        got.append(c.response().body == big)
    clients = [threading.Thread(target=client, daemon=True) for _ in range(n)]
    for t in clients:
        t.start()
    most = 0
    while len(got) < n and any(t.is_alive() for t in clients):
        most = max(most, rss(proxy()) - before)
        with changed:
            changed.wait(0.05)
    is_(got, [True] * n)
    # A sanitizer keeps what was freed.
    build = os.environ.get("WEFT_BUILD", "")
    assert "address" in build or "thread" in build or most < n * (512 << 10) + (6 << 20), most


@case
def clients_that_go_while_a_filter_waits():
    words = ["q:wait:60000", "qb:wait:60000", "q:collect:900000", "r:wait:60000", "r:collect:90000,rb:wait:60000", "rb:wait:60000"] * 5
    clients = [Client() for _ in words]
    eventually(lambda: metric("weft_filter_active") == 0)
    for i, c in enumerate(clients):
        body = b"x" * (40000 if words[i][0] == "r" else 30000)
        c.send(f"POST /gone/{i} HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\nx-probe: {words[i]}\r\n\r\n".encode() + body)
    eventually(lambda: metric("weft_filter_active") == len(words))
    for i, c in enumerate(clients):
        c.reset() if i % 2 else c.close()
    eventually(lambda: metric("weft_http_active") == 0)
    for i in range(len(words)):
        eventually(lambda: log().count(f"done /gone/{i} ") == 1)
    eventually(lambda: metric("weft_filter_active") == 0)


run()
PY
PYTHONPATH=$SRC/test/lib python3 "$T/cases.py"
weftd_stop
is "$(grep -c 'probe worker of listener begins' "$T/weftd.log")" 2 "each worker began once"
is "$(grep -c 'probe worker of listener ends' "$T/weftd.log")" 2 "and ended once"
