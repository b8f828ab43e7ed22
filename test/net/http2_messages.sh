#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# HTTP/2 clients of a listener, by preface on its plain port and by ALPN, whose hosts speak HTTP/1.1.
. "$(dirname "$0")/../lib/net.sh"
. "$(dirname "$0")/../lib/certs.sh"

self_signed "$T/shop" DNS:shop,IP:127.0.0.1
cat > "$T/weft.yaml" <<YAML
workers: 2
kernel: {mode: off}
listeners:
- {name: web, address: "127.0.0.1:8080", protocol: http, routes: [all]}
- name: safe
  address: "127.0.0.1:8443"
  protocol: http
  routes: [all]
  tls: {mode: strict, alpn: [h2, http/1.1], certificates: [{cert: $T/shop.crt, key: $T/shop.key}]}
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
cat > "$T/cases.py" <<'PY'
import os
import subprocess
from http_rig import *

host = Host(9001)
T = os.environ["T"]
PLAIN, SAFE = ["--http2-prior-knowledge", "http://127.0.0.1:8080"], ["--http2", "--cacert", f"{T}/shop.crt", "https://127.0.0.1:8443"]


def curl(path, *more, way=PLAIN, data=None):
    """(head lines, body) of the answer."""
    args = ["curl", "-sS", "-m", str(LIMIT), "-D", f"{T}/head", *more, *way[:-1], way[-1] + path]
    out = subprocess.run(args, input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert out.returncode == 0, out.stderr
    return open(f"{T}/head").read().splitlines(), out.stdout


def seen(body):
    return json.loads(body)


@case
def a_request_and_its_answer():
    for way in PLAIN, SAFE:
        head, body = curl("/hello?x=1", "-H", "X-CaSe: Value", way=way)
        is_(head[0].strip(), "HTTP/2 200")
        got = seen(body)
        is_(got["path"], "/hello?x=1")
        names = {k.lower(): v for k, v in got["headers"]}
        is_(names["x-case"], "Value")
        is_(names["host"], way[-1].split("//")[1])
        assert not [k for k in names if k.startswith(":")], names


@case
def http1_on_the_same_ports():
    is_(get("/old").status, 200)
    head, _ = curl("/old", way=["--http1.1", *SAFE[1:]])
    is_(head[0].strip(), "HTTP/1.1 200 OK")


@case
def a_body_there_and_back():
    def echo(c, q):
        answer(c, q, q.body)
    host.on["/echo"] = echo
    for way in PLAIN, SAFE:
        data = os.urandom(3 << 20)
        _, body = curl("/echo", "--data-binary", "@-", way=way, data=data)
        assert body == data, (len(body), len(data))


@case
def an_answer_without_a_length():
    def chunks(c, q):
        c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + "3\r\nabc\r\n" * 1000 + "0\r\n\r\n")
    host.on["/chunks"] = chunks
    is_(curl("/chunks")[1], b"abc" * 1000)


@case
def trailers_and_early_hints():
    def trailed(c, q):
        c.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
               "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n")
    host.on["/trailed"] = trailed
    head, body = curl("/trailed")
    assert "HTTP/2 103 " in head and "link: </a>" in head and "x-sum: 7" in head, head
    is_(body, b"ok")


@case
def head_and_204():
    def sized(c, q):
        c.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + ("" if q.method == "HEAD" else "hello"))
    host.on["/sized"] = sized

    def none(c, q):
        c.send("HTTP/1.1 204 No Content\r\n\r\n")
    host.on["/none"] = none
    head, _ = curl("/sized", "-I")
    assert "content-length: 5" in head, head
    is_(curl("/none")[0][0].strip(), "HTTP/2 204")


@case
def answers_of_the_proxys_own():
    head, body = curl("/nowhere")
    is_(head[0].strip(), "HTTP/2 503")
    assert b"(UF)" in body, body


@case
def cookies_are_one_line():
    _, body = curl("/c", "-H", "cookie: a=1; b=2")
    is_([v for k, v in seen(body)["headers"] if k.lower() == "cookie"], ["a=1; b=2"])


@case
def many_streams_at_once():
    out = subprocess.run(["h2load", "-n", "2000", "-c", "4", "-m", "50", "http://127.0.0.1:8080/many"], stdout=subprocess.PIPE)
    assert b"2000 succeeded, 0 failed, 0 errored, 0 timeout" in out.stdout, out.stdout.decode()


@case
def a_slow_answer_does_not_hold_up_the_others():
    import threading
    go = threading.Event()

    def slow(c, q):
        go.wait(LIMIT)
        answer(c, q, b"slow")
    host.on["/slow"] = slow
    out = subprocess.Popen(["nghttp", "-v", "--no-dep", "http://127.0.0.1:8080/slow", "http://127.0.0.1:8080/quick"],
                           stdout=subprocess.PIPE)
    quick = False
    for line in out.stdout:
        if b"/quick" in line and b"path" in line and b"\"path\": \"/quick\"" in line:
            quick = True
            break
    assert quick
    assert not go.is_set()
    go.set()
    out.stdout.read()
    is_(out.wait(LIMIT), 0)


run()
PY
PYTHONPATH=$SRC/test/lib T=$T python3 "$T/cases.py"

counted() { [ "$(metric weft_http_http2_total)" -gt 10 ]; }
wait_for 60 counted
none_left() { [ "$(metric weft_http_active)" = 0 ]; }
wait_for 60 none_left
weftd_stop
