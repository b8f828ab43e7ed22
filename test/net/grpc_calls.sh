#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# gRPC calls by a real client (python3-grpcio) whose hosts speak HTTP/1.1: status, deadlines, weft's own answers, retries,
# outlier detection, routes by service and method.
. "$(dirname "$0")/../lib/net.sh"
PY=/usr/bin/python3                             # Debian's, whose package it is
$PY -c 'import grpc' 2> /dev/null || skip "python3-grpcio is not installed"

cat > "$T/weft.yaml" <<YAML
workers: 2
kernel: {mode: off}
listeners:
- {name: rpc, address: "127.0.0.1:8080", protocol: http, routes: [calls]}
routes:
- name: calls
  rules:
  - {matches: [{service: {value: shop.Orders}, rpcMethod: {value: Get}}], backends: [{cluster: special}]}
  - {matches: [{service: {type: Prefix, value: shop.}}], backends: [{cluster: app}]}
  - {matches: [{service: {value: slow.Svc}, rpcMethod: {value: Route}}], backends: [{cluster: app}], timeouts: {request: 300ms}}
  - {matches: [{service: {value: slow.Svc}, rpcMethod: {value: Try}}], backends: [{cluster: app}], timeouts: {backendRequest: 300ms}}
  - {matches: [{service: {value: slow.Svc}}], backends: [{cluster: app}]}
  - matches: [{service: {value: again.Svc}}]
    backends: [{cluster: app}]
    retry: {attempts: 3, grpcStatus: [unavailable, resource-exhausted], backoff: 1ms, budget: {percent: 100, minPerSecond: 1000}}
  - {matches: [{service: {value: down.Svc}}], backends: [{cluster: dead}]}
  - {matches: [{service: {value: none.Svc}}], backends: [{cluster: empty}]}
  - {matches: [{service: {value: full.Svc}}], backends: [{cluster: full}]}
  - {matches: [{service: {value: said.Svc}}], filters: [{type: DirectResponse, status: 403, body: "not for you: 100%\n"}]}
  - {matches: [{service: {value: bad.Svc}}], backends: [{cluster: judged}]}
clusters:
- {name: app, endpoints: [{address: "127.0.0.1:9001"}]}
- {name: special, endpoints: [{address: "127.0.0.1:9002"}]}
- {name: dead, endpoints: [{address: "127.0.0.1:9"}]}
- {name: empty, endpoints: []}
- {name: full, connectionPool: {maxRequests: 1, maxPending: 0}, endpoints: [{address: "127.0.0.1:9001"}]}
- {name: judged, panicThreshold: 0, outlierDetection: {consecutive5xx: 3, maxEjectionPercent: 100}, loadBalancer: round-robin, endpoints: [{address: "127.0.0.1:9003"}, {address: "127.0.0.1:9004"}]}
telemetry: {accessLog: [{path: $T/access.log, format: json}]}
YAML
weftd_start
cat > "$T/calls.py" <<'PY'
import subprocess
from grpc_rig import *

app, special, judged = Host(9001), Host(9002), Host(9003)


def fresh():
    for h in app, special, judged:
        h.forget()


gone = []


def until_gone(c, r):
    """Answers nothing; ends when the other side has."""
    assert c.closed()
    gone.append(r)
    return "close"


@case
def a_call_and_its_answer():
    fresh()
    app.on["/shop.Cart/Add"] = says(b"one", b"two", headers="x-first: 1\r\n")
    r = call("/shop.Cart/Add", b"ask", metadata=[("x-user", "bob"), ("x-data-bin", b"\0\xff")])
    is_((r.code, r.messages, r.metadata["x-first"]), ("OK", [b"one", b"two"], "1"))
    got = app.requests[0]
    is_((got.method, got.path, got.body), ("POST", "/shop.Cart/Add", frame(b"ask")))
    is_(got.get("content-type") + got.get("x-user"), ["application/grpc", "bob"])
    is_(got.get("x-data-bin"), ["AP8"])
    is_(got.get("te"), ["trailers"])


@case
def a_status_in_the_trailers():
    app.on["/shop.Cart/Del"] = says(b"half", status=9, text="no%20%E2%98%BA%25")
    r = call("/shop.Cart/Del")
    is_((r.code, r.details, r.messages), ("FAILED_PRECONDITION", "no \u263a%", [b"half"]))


@case
def a_status_and_nothing_else():
    app.on["/shop.Cart/Find"] = only(5, "no%20such%20cart", "x-why: gone\r\n")
    r = call("/shop.Cart/Find")
    is_((r.code, r.details, r.trailers.get("x-why") or r.metadata.get("x-why")), ("NOT_FOUND", "no such cart", "gone"))


@case
def routed_by_service_and_method():
    fresh()
    app.on["/shop.Orders/Put"] = special.on["/shop.Orders/Get"] = says(b"x")
    is_(call("/shop.Orders/Get").code + call("/shop.Orders/Put").code, "OKOK")
    is_((special.paths(), app.paths()), (["/shop.Orders/Get"], ["/shop.Orders/Put"]))


def own(path, code, *words):
    r = call(path)
    is_(r.code, code, r.details)
    for w in words:
        assert w in r.details, r.details
    return r


@case
def answers_of_wefts_own():
    own("/nobody.Svc/Do", "UNIMPLEMENTED", "no route", "NR")
    own("/shop.Orders", "UNIMPLEMENTED", "NR")
    own("/down.Svc/Do", "UNAVAILABLE", "connection to the host failed", "UF")
    own("/none.Svc/Do", "UNAVAILABLE", "no usable host", "UH")
    is_(own("/said.Svc/Do", "PERMISSION_DENIED").details, "not for you: 100%")


@case
def a_limit_of_the_cluster():
    held = threading.Event()

    def hold(c, r):
        held.wait(LIMIT)
        says(b"late")(c, r)
    app.on["/full.Svc/Do"] = hold
    fresh()
    got = []
    t = threading.Thread(target=lambda: got.append(call("/full.Svc/Do")))
    t.start()
    eventually(lambda: app.requests)
    own("/full.Svc/Do", "UNAVAILABLE", "UO")
    held.set()
    t.join()
    is_(got[0].messages, [b"late"])


def raw(path, headers="", body=frame(b"ask")):
    return get(path, "POST", "Content-Type: application/grpc\r\nTE: trailers\r\n" + headers, body)


@case
def answers_of_wefts_own_over_http1():
    r = raw("/nobody.Svc/Do")
    is_((r.status, r.body, r.get("content-type"), r.get("grpc-status")), (200, b"", "application/grpc", "12"))
    is_(r.get("grpc-message"), "no route for this request (NR)")
    is_(raw("/said.Svc/Do").get("grpc-message"), "not for you: 100%25")
    r = get("/nobody.Svc/Do", "POST", "Content-Type: application/grpc-gateway\r\n", b"x")
    is_((r.status, r.get("grpc-status")), (404, None), "another type is HTTP")
    app.on["/shop.Cart/Add"] = says(b"one", status=3)
    r = raw("/shop.Cart/Add")
    is_((r.body, one(r.trailers, "grpc-status")), (frame(b"one"), "3"))


@case
def the_routes_time():
    app.on["/slow.Svc/Route"] = app.on["/slow.Svc/Try"] = until_gone
    own("/slow.Svc/Route", "DEADLINE_EXCEEDED", "DT")
    own("/slow.Svc/Try", "DEADLINE_EXCEEDED", "UT")


@case
def the_callers_time():
    app.on["/slow.Svc/Do"] = until_gone
    r = raw("/slow.Svc/Do", "grpc-timeout: 300m\r\n")
    is_((r.status, r.get("grpc-status")), (200, "4"))
    eventually(lambda: app.requests[-1] in gone)
    r = raw("/slow.Svc/Do", "grpc-timeout: 1n\r\n")
    is_(r.get("grpc-status"), "4")
    # It runs from the head on, whichever is shorter: the request need not end.
    c = Client(8080)
    for path, given in ("/slow.Svc/Do", "300m"), ("/slow.Svc/Route", "1H"):
        c = Client(8080)
        c.send(f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n"
               f"grpc-timeout: {given}\r\n\r\n")
        is_(c.response().get("grpc-status"), "4")


def ns_of(text):
    return int(text[:-1]) * {"n": 1, "u": 10 ** 3, "m": 10 ** 6, "S": 10 ** 9, "M": 60 * 10 ** 9, "H": 3600 * 10 ** 9}[text[-1]]


def told(path, timeout):
    """ns that the host was told of."""
    fresh()
    app.on[path] = only(0)
    r = raw(path, f"grpc-timeout: {timeout}\r\n" if timeout else "")
    is_(r.get("grpc-status"), "0")
    values = app.requests[0].get("grpc-timeout")
    if not values:
        return None
    assert len(values) == 1 and len(values[0]) <= 9, values
    return ns_of(values[0])


@case
def the_host_is_told_what_is_left():
    left = told("/slow.Svc/Do", "1H")
    assert 3000 * 10 ** 9 < left <= 3600 * 10 ** 9, left
    left = told("/slow.Svc/Route", "1H")
    assert 0 < left <= 300 * 10 ** 6, f"the route's is shorter: {left}"
    left = told("/slow.Svc/Do", "99999999H")
    assert 0 < left <= 2 ** 31 * 10 ** 6, left
    is_(told("/slow.Svc/Do", None), None)
    is_(told("/slow.Svc/Route", None), None)


@case
def tried_again_by_status():
    fresh()
    app.on["/again.Svc/Do"] = in_turn(only(14), only(8), says(b"x"))
    r = call("/again.Svc/Do")
    is_((r.code, r.messages), ("OK", [b"x"]))
    is_([q.get("grpc-previous-rpc-attempts") for q in app.requests], [[], ["1"], ["2"]])
    is_({q.body for q in app.requests}, {frame(b"ask")})
    fresh()
    app.on["/again.Svc/Do"] = only(14, "still%20down")
    r = call("/again.Svc/Do", metadata=[("grpc-previous-rpc-attempts", "5")])
    is_((r.code, r.details, len(app.requests)), ("UNAVAILABLE", "still down", 4))
    is_([q.get("grpc-previous-rpc-attempts") for q in app.requests], [["5"], ["6"], ["7"], ["8"]])


@case
def not_tried_again():
    for what, answers in {"another status": [only(13)], "behind a message": [says(b"x", status=14)], "behind a head": [says(status=14)],
                          "the host says no": [only(14, headers="grpc-retry-pushback-ms: -1\r\n")],
                          "and too long a pause": [only(14, headers="grpc-retry-pushback-ms: 600000\r\n")],
                          "what is no number": [only(14, headers="grpc-retry-pushback-ms: soon\r\n")]}.items():
        fresh()
        app.on["/again.Svc/Do"] = in_turn(*answers, only(14))
        call("/again.Svc/Do")
        is_(len(app.requests), 1, what)


@case
def as_late_as_the_host_asks():
    fresh()
    app.on["/again.Svc/Do"] = in_turn(only(14, headers="grpc-retry-pushback-ms: 400\r\n"), only(14, headers="grpc-retry-pushback-ms: 0\r\n"),
                                      says(b"x"))
    began = time.monotonic()
    is_(call("/again.Svc/Do").code, "OK")
    assert time.monotonic() - began >= 0.4
    is_(len(app.requests), 3)
    left = [ns_of(q.get("grpc-timeout")[0]) for q in app.requests]
    assert left[0] - left[1] >= 390 * 10 ** 6 and left[1] >= left[2], left


@case
def an_error_that_is_not_grpcs():
    for status, code in ((400, "INTERNAL"), (401, "UNAUTHENTICATED"), (403, "PERMISSION_DENIED"), (404, "UNIMPLEMENTED"),
                         (429, "UNAVAILABLE"), (502, "UNAVAILABLE"), (500, "UNKNOWN")):
        app.on["/shop.Cart/Add"] = reply(b"<html>", f"{status} Oh", "Content-Type: text/html\r\n")
        r = call("/shop.Cart/Add")
        is_((r.code, r.details), (code, f"host answered HTTP {status}"))
    fresh()
    app.on["/again.Svc/Do"] = in_turn(reply(b"<html>", "503 Oh"), says(b"x"))
    is_(call("/again.Svc/Do").messages, [b"x"])
    is_(len(app.requests), 2)


def breaks_off(c, r):
    c.send(HEAD + b"\r\n" + chunk(frame(b"one")))
    return "close"


@case
def a_host_that_breaks_off():
    app.on["/shop.Cart/Add"] = breaks_off
    r = call("/shop.Cart/Add")
    is_((r.code, r.messages), ("UNAVAILABLE", [b"one"]))
    assert "host closed before its answer was complete" in r.details, r.details


@case
def time_runs_out_in_the_middle():
    def half(c, r):
        c.send(HEAD + b"\r\n" + chunk(frame(b"one")))
        return until_gone(c, r)
    app.on["/slow.Svc/Route"] = half
    r = call("/slow.Svc/Route")
    is_((r.code, r.messages), ("DEADLINE_EXCEEDED", [b"one"]))


@case
def a_client_that_cancels():
    app.on["/slow.Svc/Do"] = until_gone
    fresh()
    with grpc.insecure_channel("127.0.0.1:8080", OPTIONS) as channel:
        rpc = channel.unary_unary("/slow.Svc/Do").future(b"ask", timeout=LIMIT)
        eventually(lambda: app.requests)
        rpc.cancel()
        eventually(lambda: app.requests[0] in gone)


@case
def outlier_detection_by_status():
    """Two hosts in turn; one of them fails, or says what is nobody's failure."""
    fresh()
    other = Host(9004)
    other.on["/bad.Svc/Do"] = says(b"x")
    for status in (5, 3, 12, 8, 16, 1, 9, 11):
        judged.on["/bad.Svc/Do"] = says(b"x", status=status)
        for _ in range(4):
            call("/bad.Svc/Do")
    assert len(judged.requests) > 3 and len(other.requests) > 3
    for statuses in (14, 0), (14, 13, 2, 15, 4):
        answers = [says(b"x", status=n) for n in statuses]
        judged.on["/bad.Svc/Do"] = lambda c, r: answers[len(judged.requests) % len(answers)](c, r)
        if 0 in statuses:
            for _ in range(12):
                call("/bad.Svc/Do")
    def only_the_other():
        fresh()
        return {call("/bad.Svc/Do").code for _ in range(8)} == {"OK"} and not judged.requests
    eventually(only_the_other)


def logged(path, code):
    def found():
        lines = [json.loads(x) for x in open(os.environ["T"] + "/access.log")]
        return next((x for x in reversed(lines) if x["path"] == path and x["grpc_status"] == code), None)
    eventually(found)
    x = found()
    return x["status"], x["service"], x["rpc_method"], x["flags"]


@case
def lines_of_the_access_log():
    app.on["/shop.Cart/Log"] = in_turn(says(b"x"), says(b"x", status=9), only(5), says(b"x", status=99), reply(b"", "503 Oh"))
    for code in "ok", "failed-precondition", "not-found", "unknown", "unavailable":
        call("/shop.Cart/Log")
        is_(logged("/shop.Cart/Log", code), (200, "shop.Cart", "Log", "-"), code)
    call("/nobody.Svc/Log")
    is_(logged("/nobody.Svc/Log", "unimplemented"), (200, "nobody.Svc", "Log", "NR"))
    get("/shop.Cart/Plain")
    is_(logged("/shop.Cart/Plain", ""), (404, "", "", "NR"))
    app.on["/shop.Cart/Broken"] = breaks_off
    call("/shop.Cart/Broken")
    is_(logged("/shop.Cart/Broken", "unavailable"), (200, "shop.Cart", "Broken", "UC"))


def counted(service, method):
    """What /metrics says of a method, by counter."""
    s = socket.socket(socket.AF_UNIX)
    s.connect("/run/weft/admin.sock")
    s.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    text = b"".join(iter(lambda: s.recv(65536), b"")).decode()
    label = f'{{service="{service}",method="{method}"}} '
    return {x.split(label)[0][len("weft_grpc_"):-len("_total")]: int(x.split(label)[1]) for x in text.splitlines()
            if x.startswith("weft_grpc_") and label in x}


@case
def counters_by_method():
    app.on["/shop.Cart/Sum"] = in_turn(says(b"abc"), says(b"abc"), only(5), says(b"x", status=14), reply(b"", "503 Oh"), says(status=77))
    with grpc.insecure_channel("127.0.0.1:8080", OPTIONS) as channel:       # one connection, so one worker
        for _ in range(6):
            call("/shop.Cart/Sum", channel=channel)
    app.on["/shop.Cart/Odd"] = only(12)
    before = counted("", "other").get("unimplemented", 0)
    for i in range(20):
        app.on[f"/shop.Cart/Made{i}"] = only(12)
        call(f"/shop.Cart/Made{i}")
        call(f"/made.Up{i}/Do")
    eventually(lambda: counted("shop.Cart", "Sum").get("calls") == 6)
    n = counted("shop.Cart", "Sum")
    is_((n["ok"], n["not_found"], n["unavailable"], n["unknown"], n["local"], n["tries"]), (2, 1, 2, 1, 1, 6))
    is_((n["request_bytes"], n["response_bytes"], n["took_10s"]), (6 * 8, 2 * 8 + 6, 6))
    eventually(lambda: counted("", "other").get("unimplemented", 0) >= before + 40)
    is_((counted("shop.Cart", "Made1"), counted("made.Up1", "Do")), ({}, {}))
    sum_row = next(m for m in json.loads(admin("/methods"))["methods"] if m["name"] == "shop.Cart/Sum")
    is_((sum_row["service"], sum_row["method"], sum_row["counts"]["failed"]), ("shop.Cart", "Sum", 4))
    is_(sum_row["statuses"], ["ok 2", "unknown 1", "not_found 1", "unavailable 2"])
    table = subprocess.run([os.environ["WEFT"], "methods", "shop.Cart/Sum"], capture_output=True, check=True, text=True).stdout.splitlines()
    is_([dict(zip(table[0].split(), x.split())) | {"MEAN-US": ""} for x in table[1:]],
        [{"SERVICE": "shop.Cart", "METHOD": "Sum", "CALLS": "6", "OK": "2", "FAILED": "4", "TRIES": "6", "MEAN-US": ""}])
    special.on["/shop.Orders/Get"] = only(12)
    before = counted("shop.Orders", "Get").get("calls", 0)
    call("/shop.Orders/Get")
    eventually(lambda: counted("shop.Orders", "Get").get("calls", 0) > before)


run()
PY
T=$T WEFT=$B/weft PYTHONPATH=$SRC/test/lib $PY "$T/calls.py"

out=$(weft explain http POST http://a/shop.Orders/../shop.Orders/Get -H 'content-type: application/grpc+proto')
like "$out" '^  call +Get of service shop.Orders$' "a call is explained"
like "$out" '^  rule +calls, rule 0 ' "by its service and method, of the path as it is normalised"
out=$(weft explain http POST http://a/nobody.Svc/Do -H 'content-type: application/grpc')
like "$out" '^  as gRPC +200 with grpc-status 12, unimplemented$' "and what its client hears"
weftd_stop

block() { awk -v lang="\`\`\`$1" '$0 == lang && !done { on = 1; next } /^```$/ && on { on = 0; done = 1 } on' "$SRC/docs/grpc.md"; }
block yaml > "$T/weft.yaml"
weftd_start
command=$(block console | sed -n 's/^\$ weft //p')
block console | sed 1d > "$T/want"
eval "weft $command" | head -n "$(wc -l < "$T/want")" | sed "s#$T/##" > "$T/got"
ok "docs/grpc.md: $command" diff -u "$T/want" "$T/got"
weftd_stop
