#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What becomes of a request when one end does not do its part: exact counts at the host, status and reason at the client.
. "$(dirname "$0")/../lib/net.sh"

cat > "$T/weft.yaml" <<YAML
workers: 2
kernel: {mode: off}
listeners:
- {name: web, address: "127.0.0.1:8080", protocol: http, routes: [all], timeouts: {head: 2s}}
routes:
- name: all
  rules:
  - matches: [{path: {value: /retry}}]
    retry: {attempts: 2, on: [5xx, connect-failure], backoff: 1ms, maxBackoff: 5ms}
    backends: [{cluster: app}]
  - matches: [{path: {value: /try}}]
    timeouts: {backendRequest: 300ms}
    retry: {attempts: 1, on: [5xx], backoff: 1ms}
    backends: [{cluster: app}]
  - {matches: [{path: {value: /timed}}], timeouts: {request: 300ms}, backends: [{cluster: app}]}
  - {matches: [{path: {value: /idle}}], timeouts: {idle: 500ms}, backends: [{cluster: app}]}
  - {matches: [{path: {value: /two}}], retry: {attempts: 1, on: [5xx], backoff: 1ms}, backends: [{cluster: two}]}
  - {matches: [{path: {value: /half}}], backends: [{cluster: half}]}
  - {matches: [{path: {value: /gone}}], backends: [{cluster: none}]}
  - {matches: [{path: {value: /black}}], backends: [{cluster: black}]}
  - {matches: [{path: {value: /few}}], backends: [{cluster: few}]}
  - {matches: [{path: {value: /}, headers: [{name: x-any}]}], backends: [{cluster: app}]}
  - {matches: [{path: {value: /app}}], backends: [{cluster: app}]}
clusters:
- {name: app, endpoints: [{address: "127.0.0.1:9001"}]}
- {name: two, endpoints: [{address: "127.0.0.1:9001"}, {address: "127.0.0.1:9002"}]}
- {name: half, endpoints: [{address: "127.0.0.1:9001"}, {address: "127.0.0.1:9"}]}
- {name: none, endpoints: []}
- {name: black, connectTimeout: 300ms, endpoints: [{address: "10.244.0.200:80"}]}
- {name: few, endpoints: [{address: "127.0.0.1:9001"}], connectionPool: {maxRequests: 1, maxPending: 1}}
YAML
bridge_up
weftd_start
PYTHONPATH=$SRC/test/lib python3 - <<'PY'
from http_rig import *

host, second = Host(9001), Host(9002)


def fresh():
    host.forget()
    second.forget()
    host.on.clear()


def why(r, status, flag, what=""):
    is_(r.status, status, what)
    assert f"{flag})" in r.body.decode() or f"{flag}," in r.body.decode(), r.body


@case
def no_route_no_host():
    why(get("/x"), 404, "NR")
    why(get("/gone"), 503, "UH")


@case
def a_host_that_cannot_be_reached_in_time():
    t = time.monotonic()
    why(get("/black"), 503, "UF")
    assert time.monotonic() - t > 0.25


@case
def a_refusing_host_is_left_for_another_one():
    fresh()
    is_([get("/half").status for _ in range(20)], [200] * 20)
    is_(len(host.requests), 20)


@case
def a_host_that_closes_without_an_answer():
    fresh()
    host.on["/app"] = lambda c, r: "close"
    why(get("/app"), 502, "UC")
    n = len(host.requests)
    assert n in (1, 2), n       # 2: the first connection was a pooled one


@case
def a_host_that_answers_nonsense():
    fresh()
    host.on["/app"] = lambda c, r: c.send("HELLO 42\r\n\r\n") or "close"
    why(get("/app"), 502, "UPE")
    host.on["/app"] = lambda c, r: c.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n") or "close"
    why(get("/app"), 502, "UPE")


@case
def an_answer_cut_in_the_middle_is_cut_for_the_client():
    fresh()
    host.on["/app"] = lambda c, r: c.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf") or "close"
    c = Client()
    c.send("GET /app HTTP/1.1\r\nHost: a\r\n\r\n")
    is_(c.head()[0], 200)
    got = c.left()
    assert len(got) < 100, got
    host.on["/app"] = lambda c, r: c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n") or "close"
    c = Client()
    c.send("GET /app HTTP/1.1\r\nHost: a\r\n\r\n")
    is_(c.head()[0], 200)
    got = c.left()
    assert b"0\r\n\r\n" not in got, got


@case
def bytes_behind_an_answer_end_the_hosts_connection():
    fresh()
    host.on["/app"] = lambda c, r: c.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    c = Client()
    for _ in range(5):
        is_(c.ask("/app").body, b"ok")
    is_(len({r.conn for r in host.requests}), 5)


@case
def retries_are_as_many_as_said_and_carry_the_body():
    fresh()
    host.on["/retry"] = reply(status="503 No")
    is_(get("/retry", "POST", body=b"x" * 5000).status, 503)
    is_([(r.method, len(r.body)) for r in host.requests], [("POST", 5000)] * 3)
    fresh()
    turn = iter([reply(status="503 No"), reply(b"good")])
    host.on["/retry"] = lambda c, r: next(turn)(c, r)
    is_(get("/retry", "POST", body=b"y" * 60000).body, b"good")
    is_([r.body for r in host.requests], [b"y" * 60000] * 2)


@case
def a_body_over_the_replay_buffer_is_sent_once():
    fresh()
    host.on["/retry"] = reply(status="503 No")
    is_(get("/retry", "POST", body=b"x" * 70000).status, 503)
    is_([len(r.body) for r in host.requests], [70000])


@case
def a_body_that_streams_is_not_delayed_by_the_replay_buffer():
    fresh()
    seen = threading.Event()

    def early(c, r):
        is_(c.exactly(5), b"first")
        seen.set()
        c.exactly(5)
        answer(c, r, b"both")
    host.on["early /retry"] = early
    c = Client()
    c.send("POST /retry HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nfirst")
    assert seen.wait(LIMIT)
    c.send("later")
    is_(c.response().body, b"both")


@case
def no_retry_behind_an_answers_head():
    fresh()
    host.on["/retry"] = lambda c, r: c.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf") or "close"
    c = Client()
    c.send("GET /retry HTTP/1.1\r\nHost: a\r\n\r\n")
    is_(c.head()[0], 200)
    c.closed()
    is_(len(host.requests), 1)


@case
def a_retry_goes_to_another_host():
    fresh()
    for h in (host, second):
        h.on["/two"] = reply(status="500 No")
    is_(get("/two").status, 500)
    is_((len(host.requests), len(second.requests)), (1, 1))


@case
def a_try_that_takes_too_long_is_tried_again_once():
    fresh()
    host.on["/try"] = stall
    t = time.monotonic()
    why(get("/try"), 504, "UT")
    assert time.monotonic() - t > 0.55
    is_(len(host.requests), 2)


@case
def a_request_over_its_time():
    fresh()
    host.on["/timed"] = stall
    why(get("/timed"), 504, "DT")
    is_(len(host.requests), 1)


@case
def a_stream_without_a_byte():
    fresh()
    host.on["/idle"] = stall
    why(get("/idle"), 504, "DT")


@case
def a_head_that_does_not_come():
    c = Client()
    c.send("GET /app HTTP/1.1\r\nHos")
    r = c.response()
    is_((r.status, r.get("connection")), (408, "close"))
    assert c.closed()


@case
def limits_of_a_head():
    is_(get("/app", headers="x: y\r\n" * 200).status, 431)
    is_(get("/app", headers="x: " + "y" * 70000 + "\r\n").status, 431)
    is_(get("/app" + "x" * 20000).status, 414)
    c = Client()
    c.send("GET /app HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
    is_(c.response().status, 400)
    assert c.closed()


@case
def a_refused_client_can_read_why_though_it_is_still_sending():
    for _ in range(5):
        began, c = time.monotonic(), Client()
        try:
            c.send("GET /app HTTP/1.1\r\nbad header: x\r\n\r\n" + "x" * 200000)
            is_(c.response().status, 400)
            return
        except OSError:  # for a second it is read: a machine that stood still for longer may try again
            assert time.monotonic() - began > 0.9
    raise AssertionError("five times reset")


@case
def a_client_that_goes_away_ends_the_work_at_once():
    fresh()
    gone = threading.Event()

    def wait(c, r):
        if c.closed():
            gone.set()
        return "close"
    host.on["/app"] = wait
    for leave in (Client.close, Client.reset):
        gone.clear()
        c = Client()
        c.send("GET /app HTTP/1.1\r\nHost: a\r\n\r\n")
        eventually(lambda: host.requests)
        leave(c)
        assert gone.wait(LIMIT)
        fresh()
        host.on["/app"] = wait


@case
def a_client_that_goes_away_with_its_body_unread_is_noticed():
    fresh()
    gone, hold = threading.Event(), threading.Event()

    def stall(c, r):
        hold.wait(LIMIT)
        try:
            while c.fill():
                c.buf = b""
        except OSError:
            pass
        gone.set()
        return "close"
    host.on["early /app"] = stall
    c = Client()
    c.send("POST /app HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
    c.sock.settimeout(1)
    try:
        while True:
            c.sock.send(b"x" * 65536)
    except OSError:
        pass
    c.close()
    hold.set()
    assert gone.wait(LIMIT)


@case
def an_early_answer_is_not_lost():
    fresh()
    host.on["early /app"] = lambda c, r: answer(c, r, b"no, thanks", "413 Too Large") or "close"
    c = Client()
    c.send("POST /app HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n" + "x" * 1000)
    r = c.response()
    is_((r.status, r.body, r.get("connection")), (413, b"no, thanks", "close"))


@case
def a_dead_pooled_connection_is_replaced_unseen():
    fresh()
    host.on["/app"] = lambda c, r: "close" if r.number > 1 else answer(c, r, b"ok")
    c = Client()
    for _ in range(6):
        is_(c.ask("/app").body, b"ok")
    # Every second request met a pooled connection that died on it, and was sent again on a new one.
    is_([r.number for r in host.requests], [1] + [2, 1] * 5)


@case
def a_request_that_may_not_be_repeated_is_not():
    fresh()
    host.on["/app"] = lambda c, r: "close" if r.number > 1 else answer(c, r, b"ok")
    c = Client()
    is_(c.ask("/app").body, b"ok")
    host.forget()
    r = c.ask("/app", "POST", body=b"b")
    why(r, 502, "UC")
    is_([r.body for r in host.requests], [b"b"])
    c = Client()
    is_(c.ask("/app", "POST", "Idempotency-Key: k\r\n", b"c").body, b"ok")


@case
def the_second_request_over_a_limit_waits_the_third_is_refused():
    fresh()
    go = threading.Event()
    host.on["/few"] = lambda c, r: go.wait(LIMIT) and answer(c, r, b"ok")
    got = []
    ts = [threading.Thread(target=lambda: got.append(get("/few"))) for _ in range(8)]
    for t in ts:
        t.start()
    eventually(lambda: len(got) >= 6)
    go.set()
    for t in ts:
        t.join()
    is_(sorted(r.status for r in got), [200] * 2 + [503] * 6)
    why(next(r for r in got if r.status == 503), 503, "UO")


run()
PY
weftd_stop
