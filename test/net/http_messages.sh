#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# HTTP/1.1 through a listener, message by message: what one end sends is what the other gets.
. "$(dirname "$0")/../lib/net.sh"

cat > "$T/weft.yaml" <<YAML
workers: 2
kernel: {mode: off}
listeners:
- {name: web, address: "127.0.0.1:8080", protocol: http, routes: [all]}
routes:
- name: all
  rules:
  - {matches: [{path: {value: /nowhere}}], backends: [{cluster: dead}]}
  - backends: [{cluster: app}]
clusters:
- {name: app, endpoints: [{address: "127.0.0.1:9001"}]}
- {name: dead, endpoints: [{address: "127.0.0.1:9"}]}
YAML
weftd_start
PYTHONPATH=$SRC/test/lib python3 - <<'PY'
from http_rig import *

host = Host(9001)


@case
def a_request_and_its_answer():
    r = get("/hello?x=1", headers="X-CaSe: Kept\r\nAccept: */*\r\n")
    is_(r.status, 200)
    seen = r.json()
    is_(seen["path"], "/hello?x=1")
    assert ["X-CaSe", "Kept"] in seen["headers"], seen


@case
def a_connection_carries_many_requests_and_so_does_the_hosts():
    c, before = Client(), host.conns
    numbers = [c.ask(f"/k{i}").json()["number"] for i in range(20)]
    assert host.conns - before <= 1, host.conns - before
    is_(numbers[-1] - numbers[0], 19)


@case
def pipelined_requests_are_answered_in_order():
    c = Client()
    c.send("".join(f"GET /p{i} HTTP/1.1\r\nHost: a\r\n\r\n" for i in range(50)))
    is_([c.response().json()["path"] for _ in range(50)], [f"/p{i}" for i in range(50)])


@case
def pipelined_local_answers_come_in_order_too():
    c = Client()
    c.send("GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n" * 5)
    is_([c.response().status for _ in range(10)], [503, 200] * 5)


@case
def a_request_that_comes_byte_by_byte():
    c = Client()
    for b in b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello":
        c.send(bytes([b]))
        time.sleep(0.001)
    is_(c.response().json()["body"], 5)


@case
def bodies_of_all_sizes_both_ways():
    for n in (0, 1, 100, 4095, 4096, 16384, 65535, 65536, 65537, 300000, 5000000):
        data = bytes(i * 7 % 251 for i in range(min(n, 4096))) * (n // 4096 + 1)
        data = data[:n]
        host.on["/size"] = lambda c, r: answer(c, r, r.body)
        r = get("/size", "POST", body=data)
        is_(r.status, 200)
        assert r.body == data, (n, len(r.body))


@case
def chunked_both_ways():
    def chunked(c, r):
        c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for i in range(0, len(r.body), 1000):
            d = r.body[i:i + 1000]
            c.send(f"{len(d):x}\r\n".encode() + d + b"\r\n")
        c.send("0\r\n\r\n")
    host.on["/chunked"] = chunked
    c = Client()
    for n in (0, 1, 999, 70000):
        data = (b"0123456789" * 7000)[:n]
        c.send("POST /chunked HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for i in range(0, n, 3000):
            d = data[i:i + 3000]
            c.send(f"{len(d):x};ext=1\r\n".encode() + d + b"\r\n")
        c.send("0\r\n\r\n")
        r = c.response()
        assert r.body == data, (n, len(r.body))
        is_(host.requests[-1].get("transfer-encoding"), ["chunked"])


@case
def trailers_both_ways():
    host.on["/t"] = lambda c, r: c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n"
                                        "2\r\nhi\r\n0\r\nx-sum: 42\r\n\r\n")
    c = Client()
    c.send("POST /t HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n"
           "3\r\nabc\r\n0\r\nx-end: yes\r\n\r\n")
    r = c.response()
    is_((r.body, r.trailers), (b"hi", [("x-sum", "42")]))
    is_(host.requests[-1].trailers, [("x-end", "yes")])
    is_(c.ask("/after").status, 200)


@case
def head_204_304_have_no_body():
    host.on["/204"] = lambda c, r: c.send("HTTP/1.1 204 No Content\r\n\r\n")
    host.on["/304"] = lambda c, r: c.send("HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n")
    c = Client()
    r = c.ask("/x", "HEAD")
    assert int(r.get("content-length")) > 0
    is_(c.ask("/204").status, 204)
    is_(c.ask("/304").status, 304)
    is_(c.ask("/nowhere", "HEAD").status, 503)
    is_(c.ask("/x").status, 200)


@case
def an_answer_that_ends_with_the_connection():
    host.on["/eof"] = lambda c, r: c.send("HTTP/1.1 200 OK\r\n\r\nall there is") or "close"
    c = Client()
    is_(c.ask("/eof").body, b"all there is")
    is_(c.ask("/after").status, 200)


@case
def expect_100_is_answered_once_and_not_passed_on():
    c = Client()
    c.send("POST /e HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    is_(c.head()[0], 100)
    c.send("abc")
    is_(c.response().json()["body"], 3)
    is_(host.requests[-1].get("expect"), [])


@case
def a_body_that_does_not_wait_for_100():
    c = Client()
    for _ in range(3):
        c.send("POST /e HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc")
        r = c.response()
        is_((r.status, r.json()["body"]), (200, 3))
        assert r.interim in ([], [100]), r.interim


@case
def expect_100_is_not_said_when_the_answer_is_known():
    c = Client()
    c.send("POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    r = c.response()
    is_((r.status, r.get("connection")), (503, "close"))
    assert c.closed()


@case
def informational_answers_are_passed():
    host.on["/hints"] = lambda c, r: c.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
                                            "HTTP/1.1 102 Processing\r\n\r\n") or answer(c, r, b"ok")
    c = Client()
    c.send("GET /hints HTTP/1.1\r\nHost: a\r\n\r\n")
    status, headers, _ = c.head()
    is_((status, one(headers, "link")), (103, "</a>"))
    r = c.response()
    is_((r.interim, r.body), ([102], b"ok"))


@case
def hop_by_hop_headers_stay_on_their_hop():
    c = Client()
    r = c.ask("/hop", headers="Connection: keep-alive, x-mine\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nUpgrade: h2c\r\nX-Other: 2\r\n")
    names = {k.lower() for k, _ in r.json()["headers"]}
    assert names & {"x-mine", "keep-alive", "upgrade"} == set() and "x-other" in names, names


@case
def connection_close_is_honoured():
    c = Client()
    r = c.ask("/x", headers="Connection: close\r\n")
    is_((r.status, r.get("connection")), (200, "close"))
    assert c.closed()


@case
def http_1_0():
    c = Client()
    c.send("GET /old HTTP/1.0\r\nHost: a\r\n\r\n")
    is_(c.response().status, 200)
    assert c.closed()
    c = Client()
    c.send("GET /old HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
    is_(c.response().status, 200)
    c.send("GET /old HTTP/1.0\r\nHost: a\r\n\r\n")
    is_(c.response().status, 200)


@case
def no_route_says_why():
    r = get("/nowhere")
    is_((r.status, r.get("server")), (503, "weft"))
    assert b"(UF)" in r.body and r.get("date"), r.body


run()
PY

# Requests of the cases above, by worker, route and cluster; the proxy tells every second.
counted() { [ "$(metric weft_http_requests_total)" -gt 100 ] && [ "$(metric 'weft_route_requests_total{route="all"}')" -gt 100 ]; }
wait_for 20 counted
[ "$(metric 'weft_cluster_http_requests_total{cluster="dead"}')" -ge 7 ] || fail "requests to the dead cluster are counted for it"
is "$(metric 'weft_cluster_http_answers_2xx_total{cluster="dead"}')" 0 "none of them answered well"
none_left() { [ "$(metric weft_http_active)" = 0 ]; }
wait_for 20 none_left
weftd_stop
