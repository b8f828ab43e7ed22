#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The access log of relayed connections and of sessions of datagrams: a line each, in both formats, with bytes, times, who
# ended it, and the names it went by. What is HTTP's is empty there.
. "$(dirname "$0")/../lib/net.sh"

rule() { echo "rules: [{backends: [{cluster: $1}]}]"; }
cat > "$T/weft.yaml" <<YAML
workers: 2
kernel: {mode: off}
telemetry: {accessLog: [{path: $T/access.json, format: json}, {path: $T/access.txt}]}
listeners:
- {name: plain, address: "0.0.0.0:8081", protocol: tcp, $(rule app)}
- {name: idle, address: "127.0.0.1:8082", protocol: tcp, timeouts: {idle: 200ms}, $(rule app)}
- {name: dead, address: "127.0.0.1:8083", protocol: tcp, $(rule dead)}
- {name: names, address: "127.0.0.1:8084", protocol: tcp, timeouts: {head: 60s}, rules: [{snis: [a.example], backends: [{cluster: app}]}]}
- {name: quiet, address: "127.0.0.1:8089", protocol: tcp, timeouts: {head: 200ms}, rules: [{snis: [a.example], backends: [{cluster: app}]}]}
- {name: empty, address: "127.0.0.1:8085", protocol: tcp, $(rule empty)}
- {name: gram, address: "127.0.0.1:8086", protocol: udp, timeouts: {idle: 300ms}, $(rule gram)}
- {name: gone, address: "127.0.0.1:8087", protocol: udp, $(rule dead)}
- {name: long, address: "127.0.0.1:8088", protocol: udp, $(rule gram)}
clusters:
- {name: app, endpoints: [{address: "127.0.0.1:9001"}]}
- {name: gram, endpoints: [{address: "127.0.0.1:9001"}]}
- {name: dead, endpoints: [{address: "127.0.0.1:9"}]}
- {name: empty}
YAML
weftd_start
cat > "$T/cases.py" <<'PY'
import os
import ssl
from http_rig import *

raw = socket.create_server(("127.0.0.1", 9001))
gram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
gram.bind(("127.0.0.1", 9001))
gram.settimeout(LIMIT)
HTTP = "method path authority route request_id traceparent forwarded_for user_agent".split()


def lines():
    return [json.loads(x) for x in open(os.environ["LOG"])]


def line(client):
    me = "%s:%d" % client
    eventually(lambda: any(x["client"] == me for x in lines()))
    found = [x for x in lines() if x["client"] == me]
    is_(len(found), 1, "one line")
    is_([found[0][k] for k in HTTP] + [found[0]["status"]], [""] * len(HTTP) + [0], "what is HTTP's")
    return found[0]


def dial(port, address="127.0.0.1"):
    s = socket.create_connection((address, port))
    s.settimeout(LIMIT)
    return s


def end(x):
    return x["flags"], x["termination"]


def relayed(port):
    s = dial(port)
    peer, _ = raw.accept()
    s.sendall(b"hello")
    is_(peer.recv(5), b"hello")
    return s, peer


@case
def both_sides_are_done():
    s = dial(8081, "127.0.0.7")
    me = s.getsockname()
    peer, _ = raw.accept()
    s.sendall(b"12345")
    is_(Stream(peer).exactly(5), b"12345")
    peer.sendall(b"x" * 100000)
    is_(len(Stream(s).exactly(100000)), 100000)
    time.sleep(0.05)  # so long it lasts, at least
    s.close()
    peer.close()
    x = line(me)
    is_(end(x) + (x["detail"],), ("-", "--", ""))
    is_((x["protocol"], x["listener"], x["cluster"], x["host"], x["tries"]), ("tcp", "plain", "app", "127.0.0.1:9001", 1))
    is_((x["bytes_in"], x["bytes_out"], x["original"], x["sni"], x["identity"]), (5, 100000, "127.0.0.7:8081", "", ""))
    assert x["ms_total"] >= 50 and x["ms_connect"] > 0 and x["ms_answer"] == 0, x


@case
def those_that_end_badly():
    s, peer = relayed(8081)
    me = s.getsockname()
    Stream(peer).reset()
    x = line(me)
    is_(end(x) + (x["bytes_in"],), ("UC", "ST", 5))
    s, peer = relayed(8081)
    me = s.getsockname()
    Stream(s).reset()
    is_(end(line(me)), ("DC", "CT"))
    s, peer = relayed(8082)
    x = line(s.getsockname())
    is_(end(x) + (x["detail"],), ("SI", "sT", "idle for too long"))
    assert x["ms_total"] >= 200


@case
def those_that_never_came_to_a_host():
    s = dial(8083)
    x = line(s.getsockname())
    is_(end(x) + (x["cluster"], x["host"], x["tries"]), ("UF", "SC", "dead", "127.0.0.1:9", 1))
    assert x["detail"]
    s = dial(8085)
    x = line(s.getsockname())
    is_(end(x) + (x["cluster"], x["host"], x["tries"]), ("UH", "PQ", "empty", "", 0))


def hello(name):
    out = ssl.MemoryBIO()
    c = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    try:
        c.do_handshake()
    except ssl.SSLWantReadError:
        return out.read()


@case
def names_of_tls_that_is_passed_on():
    s = dial(8084)
    me = s.getsockname()
    s.sendall(hello("a.example"))
    peer, _ = raw.accept()
    is_(peer.recv(1), b"\x16")
    peer.close()
    s.close()
    is_(line(me)["sni"], "a.example")
    s = dial(8084)
    me = s.getsockname()
    s.sendall(hello("b.example"))
    x = line(me)
    is_(end(x) + (x["sni"],), ("NR", "PQ", "b.example"))
    s = dial(8089)
    x = line(s.getsockname())
    is_(end(x) + (x["bytes_in"],), ("DPE", "CR", 0))
    assert x["ms_head"] >= 200


@case
def sessions_of_datagrams():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(LIMIT)
    s.connect(("127.0.0.1", 8086))
    for _ in range(3):
        s.send(b"1234567")
        _, peer = gram.recvfrom(100)
        gram.sendto(b"x" * 20, peer)
        is_(len(s.recv(100)), 20)
    x = line(s.getsockname())
    is_(end(x) + (x["detail"], x["tries"]), ("-", "--", "", 1))
    is_((x["protocol"], x["listener"], x["cluster"], x["host"], x["original"]),
        ("udp", "gram", "gram", "127.0.0.1:9001", "127.0.0.1:8086"))
    is_((x["bytes_in"], x["bytes_out"]), (21, 60))
    assert x["ms_total"] >= 300


@case
def a_session_whose_host_is_gone():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect(("127.0.0.1", 8087))
    s.send(b"x")
    x = line(s.getsockname())
    is_(end(x) + (x["host"], x["bytes_in"]), ("UC", "ST", "127.0.0.1:9", 1))


@case
def what_ends_with_its_listener_or_the_proxy():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect(("127.0.0.1", 8088))
    s.send(b"x")
    gram.recvfrom(100)
    s, peer = relayed(8081)
    is_(any(x["listener"] == "long" for x in lines()), False)


run()
PY
LOG=$T/access.json PYTHONPATH=$SRC/test/lib python3 "$T/cases.py"
sed -i '/name: long/d' "$T/weft.yaml"
ok "a listener goes" weft reload
wait_line 60 "$T/access.json" '"protocol":"udp".*"listener":"long"'
like "$(grep '"plain"' "$T/access.txt" | head -1)" '^"20[0-9-]+T[0-9:.]+Z" "" "" "" "tcp" 0 "-" "--" "" 5 100000 [0-9. ]+ "plain" "" "app" "127.0.0.1:9001" 1 "127.0.0.[17]:[0-9]+" "" "" "" "" "" "127.0.0.7:8081" "" "" "" "" "" ""$' "a line of text"
bg host.log python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 9001)); c = s.accept()[0]; c.send(b"\n"); c.recv(1)'
# A line comes back: the connection stands.
stands() { exec {FD}<> /dev/tcp/127.0.0.1/8081 && read -r -u "$FD" _; }
wait_for 60 stands
weftd_stop
is "$(grep -c '"flags":"LR","termination":"PT"' "$T/access.json")" 1 "what the proxy's end ends has its line"
is "$(wc -l < "$T/access.txt")" "$(wc -l < "$T/access.json")" "both formats have every line, after the proxy's end too"
