#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Clients that dial a listener itself whose cluster goes where they wanted to go: no way leads back to the listener.
. "$(dirname "$0")/../lib/net.sh"

cat > "$T/weft.yaml" <<YAML
workers: 2
kernel: {mode: off}
listeners:
- {name: http, address: "127.0.0.1:8080", protocol: http, routes: [all]}
- {name: none, address: "127.0.0.1:7000", protocol: tcp, rules: &rules [{backends: [{cluster: dialled}]}]}
- {name: redirect, address: "0.0.0.0:7001", protocol: tcp, capture: redirect, rules: *rules}
- {name: tproxy, address: "0.0.0.0:7002", protocol: tcp, capture: tproxy, rules: *rules}
- {name: tproxy6, address: "[::]:7002", protocol: tcp, capture: tproxy, rules: *rules}
- {name: told, address: "127.0.0.1:7003", protocol: tcp, netFilters: [{type: proxy-protocol}], rules: *rules}
- {name: udp, address: "127.0.0.1:7004", protocol: udp, rules: *rules}
- {name: udp-tproxy, address: "0.0.0.0:7005", protocol: udp, capture: tproxy, rules: *rules}
routes:
- {name: all, rules: [{backends: [{cluster: dialled}]}]}
clusters:
- {name: dialled, loadBalancer: original-destination}
YAML
weftd_start
PYTHONPATH=$SRC/test/lib WEFT_SOCK=$ADMIN python3 - <<'PY'
import os
import re
from http_rig import *

host = Host(9001)


def count(row, name):
    s = socket.socket(socket.AF_UNIX)
    s.connect(os.environ["WEFT_SOCK"])
    s.sendall(b"GET /metrics HTTP/1.0\r\nHost: weft\r\n\r\n")
    return sum(int(n) for n in re.findall(rf'^weft_listener_{row}{{\w+="{name}"}} (\d+)$', Stream(s).rest().decode(), re.M))


def once(name, row):
    """The one connection, or datagram, and none of our own behind it."""
    eventually(lambda: count(row, name))
    eventually(lambda: not count("open", name))
    is_((count(row, name), count("accepted_total", name) <= 1), (1, True), name)


def dial(name, address, family=socket.AF_INET):
    s = socket.socket(family)
    s.settimeout(LIMIT)
    try:
        s.connect(address)
        assert Stream(s).closed()
    except ConnectionResetError:
        pass
    once(name, "no_host_total")


@case
def by_tcp():
    dial("none", ("127.0.0.1", 7000))
    dial("redirect", ("127.0.0.1", 7001))
    dial("tproxy", ("127.0.0.1", 7002))
    dial("tproxy6", ("::1", 7002), socket.AF_INET6)


@case
def by_udp():
    for port, name in ((7004, "udp"), (7005, "udp-tproxy")):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.sendto(b"x", ("127.0.0.1", port))
        once(name, "no_host_total")


@case
def by_http():
    r = get()
    is_((r.status, b"UH" in r.body), (503, True))
    once("http", "accepted_total")


@case
def elsewhere_goes_on():
    c = Client(7003)
    c.send("PROXY TCP4 127.0.0.1 127.0.0.1 1 9001\r\n")
    is_(c.ask("/").status, 200)
    c.close()
    c = Client(7003)
    c.send("PROXY TCP4 127.0.0.1 127.0.0.1 1 7003\r\n")
    assert c.closed()


run()
PY
