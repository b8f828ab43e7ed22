#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# RequestMirror: copies are what their requests are, nobody waits for them, and whatever becomes of them, the requests go on.
. "$(dirname "$0")/../lib/net.sh"

cat > "$T/weft.yaml" <<YAML
workers: 3
kernel: {mode: off}
listeners:
- {name: web, address: "127.0.0.1:8080", protocol: http, routes: [all]}
- {name: calls, address: "127.0.0.1:8081", protocol: bolt, routes: [calls]}
routes:
- name: calls
  rules: [{filters: [{type: RequestMirror, cluster: shadow}], backends: [{cluster: rpc}]}]
- name: all
  rules:
  - matches: [{path: {value: /none}}]
    filters: [{type: RequestMirror, cluster: shadow, percent: 0}]
    backends: [{cluster: app}]
  - matches: [{path: {value: /half}}]
    filters: [{type: RequestMirror, cluster: shadow, percent: 50}]
    backends: [{cluster: app}]
  - matches: [{path: {value: /nobody}}]
    filters: [{type: RequestMirror, cluster: nobody}]
    backends: [{cluster: app}]
  - matches: [{path: {value: /brief}}]
    filters: [{type: RequestMirror, cluster: shadow, timeout: 100ms}]
    backends: [{cluster: app}]
  - matches: [{path: {value: /full}}]
    filters: [{type: RequestMirror, cluster: full}]
    backends: [{cluster: app}]
  - filters: [{type: RequestMirror, cluster: shadow}, {type: URLRewrite, hostname: other.example}]
    backends: [{cluster: app}]
    timeouts: {request: 300s}
clusters:
- {name: app, endpoints: [{address: "127.0.0.1:9001"}]}
- {name: shadow, endpoints: [{address: "127.0.0.1:9002"}]}
- {name: full, endpoints: [{address: "127.0.0.1:9002"}], connectionPool: {maxRequests: 1, maxConnections: 1, maxPending: 0}}
- {name: nobody, endpoints: [{address: "127.0.0.1:9"}]}
- {name: rpc, protocol: bolt, endpoints: [{address: "127.0.0.1:9003"}]}
telemetry: {accessLog: [{path: $T/access.json, format: json}]}
YAML
cp "$T/weft.yaml" "$T/first.yaml"
weftd_start

export T WEFT="$B/weft"
PYTHONPATH=$SRC/test/lib python3 - <<'PY'
import re
import subprocess

import rpc_rig
from http_rig import *

app, shadow, rpc = Host(9001), Host(9002), rpc_rig.BoltHost(9003)


def fresh():
    for h in app, shadow:
        h.forget()
        h.on.clear()


def copies(path):
    return [r for r in shadow.requests if r.path == path]


def both(path):
    """The request and its copy, when both are there."""
    eventually(lambda: copies(path) and any(r.path == path for r in app.requests))
    return next(r for r in app.requests if r.path == path), copies(path)[0]


def outcome(row):
    return sum(float(l.rsplit(" ", 1)[1]) for l in admin("/metrics").splitlines() if l.startswith(f'weft_callout_{row}') and "RequestMirror" in l)


@case
def a_copy_is_what_its_request_is():
    fresh()
    shadow.on["/a?b=1"] = reply(b"not for the client", "500 Broken")
    r = get("/a?b=1", headers="X-One: 1\r\nX-Two: a\r\nX-Two: b\r\nCookie: c=d\r\n")
    is_((r.status, r.json()["path"]), (200, "/a?b=1"))
    real, copy = both("/a?b=1")
    is_((copy.method, copy.body, copy.get("x-one"), copy.get("x-two"), copy.get("cookie")), ("GET", b"", ["1"], ["a", "b"], ["c=d"]))
    is_((copy.get("content-length"), copy.get("transfer-encoding")), ([], []))
    is_((real.get("host"), copy.get("host")), (["other.example"], ["a.example"]), "as it is where the filter stands")
    is_(logged("/a?b=1")["notes"], {"mirror": "shadow"})


@case
def bodies_keep_their_length_on_both_ways():
    for n in 0, 1, 5000, 70000, 200000:
        fresh()
        body = os.urandom(n)
        is_(get("/body", "POST", body=body).json()["body"], n)
        for r in both("/body"):
            is_((r.body == body, r.get("content-length"), r.get("transfer-encoding")), (True, [str(n)], []), f"{n} bytes")


@case
def calls_of_grpc_are_copied_as_they_are():
    fresh()
    body = b"\0\0\0\0\3abc"
    get("/pack.Service/Method", "POST", "Content-Type: application/grpc\r\nTE: trailers\r\nConnection: TE\r\ngrpc-timeout: 5S\r\n", body)
    for r in both("/pack.Service/Method"):
        is_((r.body, r.get("content-type"), r.get("te")), (body, ["application/grpc"], ["trailers"]))


@case
def chunks_and_trailers():
    fresh()
    c, parts = Client(), [os.urandom(n) for n in (1, 30000, 100)]
    c.send("POST /chunks HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n")
    for p in parts:
        c.send(b"%x\r\n%s\r\n" % (len(p), p))
    c.send("0\r\nx-end: 1\r\n\r\n")
    is_(c.response().status, 200)
    real, copy = both("/chunks")
    is_((real.body == copy.body == b"".join(parts), real.trailers), (True, [("x-end", "1")]))


@case
def nobody_waits_for_a_copy():
    fresh()
    shadow.on["/silent"] = stall
    c = Client()
    for i in range(20):
        is_(c.ask("/silent").status, 200)
    eventually(lambda: len(copies("/silent")) == 20)
    is_(c.ask("/nobody").status, 200)
    eventually(lambda: outcome("unreachable_total") >= 1)
    shadow.on["/brief"] = stall
    before = outcome("timeouts_total")
    is_(c.ask("/brief").status, 200)
    eventually(lambda: outcome("timeouts_total") == before + 1)


@case
def a_copy_that_is_too_slow_is_given_up():
    fresh()
    go = threading.Event()
    shadow.on["early /slow"] = lambda c, r: go.wait(LIMIT) and "close"
    body, was = os.urandom(32 << 20), rss(proxy())
    for i in range(3):
        is_(get("/slow", "POST", body=body).json()["body"], len(body))
    is_(logged("/slow")["notes"], {"mirror": "given up"})
    assert rss(proxy()) - was < 16 << 20 or "address" in os.environ["WEFT"], rss(proxy()) - was
    go.set()
    eventually(lambda: outcome("active") == 0)


@case
def what_is_broken_off_is_broken_off_for_the_copy():
    fresh()
    c, ended = Client(), []

    def early(conn, r):
        try:
            while conn.fill():
                pass
        except ConnectionResetError:
            pass
        ended.append(len(conn.buf))
        return "close"
    shadow.on["early /cut"] = early
    c.send(b"POST /cut HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n" + b"x" * 300)
    eventually(lambda: copies("/cut"))
    c.reset()
    eventually(lambda: ended)
    assert ended[0] <= 300, ended


@case
def some_of_them_or_none():
    fresh()
    c = Client()
    for i in range(100):
        is_((c.ask("/none").status, c.ask("/half").status), (200, 200))
    eventually(lambda: outcome("active") == 0)
    assert not copies("/none") and 20 < len(copies("/half")) < 80, len(copies("/half"))


@case
def limits_of_the_copies_cluster():
    fresh()
    go = threading.Event()
    shadow.on["/full"] = lambda c, r: go.wait(LIMIT) and answer(c, r)
    c, before = Client(), outcome("overflows_total")
    for i in range(10):
        is_(c.ask("/full").status, 200)
    eventually(lambda: outcome("overflows_total") >= before + 7)
    go.set()
    eventually(lambda: outcome("active") == 0)


@case
def calls_of_rpc_pass_by():
    before = outcome("calls_total")
    c = rpc_rig.BoltClient(8081)
    is_(c.ask("shop", "buy", b"body").body, b"body")
    is_(outcome("calls_total"), before)


def adopted():
    return open(os.environ["T"] + "/weftd.log").read().count("adopted by 3 workers")


def reload(change):
    path, before = os.environ["T"] + "/weft.yaml", adopted()
    text = open(path).read()
    open(path + ".new", "w").write(change(text))
    os.rename(path + ".new", path)
    subprocess.run([os.environ["WEFT"], "reload"], check=True, stdout=subprocess.DEVNULL)
    eventually(lambda: adopted() > before)


@case
def reload_while_copies_are_out():
    fresh()
    go = threading.Event()
    shadow.on["/held"] = lambda c, r: go.wait(LIMIT) and answer(c, r)
    c = Client()
    for i in range(10):
        is_(c.ask("/held").status, 200)
    eventually(lambda: len(copies("/held")) == 10)
    reload(lambda text: text.replace("filters: [{type: RequestMirror, cluster: shadow}, {", "filters: [{"))
    is_([get("/after").status for _ in range(6)], [200] * 6)
    go.set()
    eventually(lambda: outcome("active") == 0)
    is_((logged("/after").get("notes", {}), copies("/after")), ({}, []))


@case
def copies_end_with_the_last_mirror():
    fresh()
    shadow.on["/half"] = stall
    c = Client()
    for i in range(40):
        is_(c.ask("/half").status, 200)
    eventually(lambda: copies("/half") and outcome("active") == len(copies("/half")))
    reload(lambda text: re.sub(r"filters: \[\{type: RequestMirror[^]]*\](, )?", "", text))
    eventually(lambda: outcome("active") == 0)


run()
PY
weftd_stop
fails "nothing is leaked" grep LeakSanitizer "$T/weftd.log"

sed -n '/^```yml mirror$/,/^```$/p' "$SRC/docs/filters.md" | grep -v '^```' > "$T/docs.yaml"
like "$(weft config check "$T/docs.yaml" 2>&1)" 'docs.yaml: good' "the example of docs/filters.md is good"
sed 's/cluster: nobody}\]$/cluster: nobdy}]/' "$T/first.yaml" > "$T/bad.yaml"
like "$(weft config check "$T/bad.yaml" 2>&1)" 'bad.yaml:[0-9]+: .*nobdy' "a cluster that is not there is refused"
sed 's/^- {name: web, /&filters: [{type: RequestMirror}], /' "$T/first.yaml" > "$T/bad.yaml"
like "$(weft config check "$T/bad.yaml" 2>&1)" 'bad.yaml:4: listeners\[0\]\.filters\[0\]: cluster is missing' "and a mirror without one"
