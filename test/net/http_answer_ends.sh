#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The end of an answer: while its request still comes, while its client takes its time, and without a body.
. "$(dirname "$0")/../lib/net.sh"
# An answer that does not fit the socket has not left the proxy.
sysctl -qw net.ipv4.tcp_wmem="4096 4096 4096"
write_file "$T/weft.yaml" <<YAML
workers: 1
kernel: {mode: off}
telemetry: {accessLog: [{path: $T/access.json, format: json}]}
listeners:
- {name: web, address: "127.0.0.1:8080", protocol: http, routes: [all]}
routes:
- name: all
  rules:
  - {matches: [{path: {value: /none}}], filters: [{type: DirectResponse, status: 204, body: none}]}
  - {matches: [{path: {value: /same}}], filters: [{type: DirectResponse, status: 304, body: same}]}
  - {matches: [{path: {value: /some}}], filters: [{type: DirectResponse, status: 200, body: some}]}
  - {matches: [{path: {value: /limit}}], timeouts: {request: 300ms}, backends: [{cluster: app}]}
  - {backends: [{cluster: app}]}
clusters:
- {name: app, endpoints: [{address: "127.0.0.1:9001"}]}
YAML
weftd_start
export T
PYTHONPATH=$SRC/test/lib python3 - <<'PY'
import os, subprocess
from http_rig import *

host = Host(9001)
MB = 1 << 20


def early(path, headers="", body=b"ok", then="close"):
    """Answers before it has read the body, which it never does."""
    def fn(c, r):
        answer(c, r, body, headers=headers)
        return then
    host.on["early " + path] = fn


def upload(path, n, headers=""):
    c = Client()
    c.send(f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {n}\r\n{headers}\r\n")
    return c


@case
def what_little_is_left_of_a_request_is_dropped_and_the_next_one_found():
    early("/little")
    for n in (1, 100, 50000, MB):
        c = upload("/little", n)
        r = c.response()
        is_((r.status, r.body, r.get("connection")), (200, b"ok", None))
        c.send(b"x" * n)
        is_(c.ask("/next").status, 200, n)
        c.close()


@case
def the_next_request_right_behind_it_is_found_too():
    early("/little")
    c = upload("/little", 30000)
    c.send(b"x" * 10000)
    is_(c.response().status, 200)
    c.send(b"x" * 20000 + b"GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n")
    is_([c.response().json()["path"] for _ in range(2)], ["/a", "/b"])
    c.close()


@case
def chunks_and_trailers_are_dropped_too():
    early("/little")
    c = Client()
    c.send("POST /little HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    is_(c.response().status, 200)
    for piece in ("1\r\nx\r\n", "5;ext=1\r\nabcde\r\n", "0\r\nX-Sum: 6\r\n\r\n"):
        c.send(piece)
    is_(c.ask("/next").json()["path"], "/next")
    c.close()


@case
def much_is_said_to_end_the_connection():
    early("/much", headers="Connection: close\r\n")
    early("/empty", body=b"")
    for path in "/much", "/empty":
        c = upload(path, 100 * MB)
        r = c.response()
        is_((r.status, r.get("connection")), (200, "close"), path)
        assert c.closed()


@case
def more_than_was_thought_ends_the_connection_behind_the_answer():
    early("/little")
    c = Client()
    c.send("POST /little HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    r = c.response()
    is_((r.status, r.body), (200, b"ok"))
    try:
        for _ in range(40):
            c.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
    except OSError:
        pass
    assert c.closed()


@case
def a_rest_that_does_not_come_is_not_waited_for():
    early("/never")
    c = upload("/never", 100)
    is_(c.response().status, 200)
    assert c.closed()
    line = logged("/never")
    is_((line["status"], line["flags"]), (200, "-"), line)


@case
def a_client_that_leaves_then_has_its_answer():
    early("/left")
    c = upload("/left", 100)
    is_(c.response().status, 200)
    c.close()
    line = logged("/left")
    is_((line["status"], line["flags"]), (200, "-"), line)


@case
def the_time_of_a_request_ends_with_the_hosts_answer():
    """The client reads when that time is long over: what lies in the proxy by then is still its answer."""
    body = os.urandom(60000)
    host.on["/limit"] = reply(body)
    c = Client(rcvbuf=4096)
    c.send("GET /limit HTTP/1.1\r\nHost: a\r\n\r\n")
    eventually(lambda: host.paths()[-1:] == ["/limit"])
    time.sleep(1)  # time is the subject: three times what the route allows
    is_(c.response().body == body, True)
    line = logged("/limit")
    is_((line["status"], line["flags"], line["bytes_out"]), (200, "-", 60000), line)
    c.close()


@case
def an_answer_without_a_body_has_none():
    c = Client()
    for path, method, status, n in (("/none", "GET", 204, 0), ("/same", "GET", 304, 0), ("/some", "HEAD", 200, 0),
                                    ("/none", "HEAD", 204, 0), ("/some", "GET", 200, 4)):
        r = c.ask(path + "?" + method, method)
        is_((r.status, len(r.body)), (status, n))
        is_(r.get("content-length"), "4" if path == "/some" and method == "GET" else None, path + " " + method)
        is_(logged(path + "?" + method)["bytes_out"], n)
    c.close()


@case
def nor_has_it_over_http_2():
    for path, status, n in (("/none", "204", 0), ("/same", "304", 0), ("/some", "200", 4)):
        out = subprocess.run(["curl", "-sS", "-m", str(LIMIT), "--http2-prior-knowledge", "-w", "%{http_code} %{size_download}", "-o", "/dev/null",
                              "http://127.0.0.1:8080" + path + "?h2"], capture_output=True, text=True)
        is_((out.returncode, out.stdout), (0, f"{status} {n}"), out.stderr)
        is_(logged(path + "?h2")["bytes_out"], n)


run()
PY
weftd_stop
