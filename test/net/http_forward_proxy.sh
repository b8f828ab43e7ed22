#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An application with http_proxy set: services by name, with and without routes, CONNECT, and no way in circles.
. "$(dirname "$0")/../lib/net.sh"

cat > "$T/weft.yaml" <<YAML
workers: 2
kernel: {mode: off}
listeners:
- {name: out, address: "127.0.0.1:30101", protocol: http-proxy}
services:
- {name: plain.default, addresses: [10.96.0.1], ports: [{port: 8080, protocol: TCP}], cluster: app}
- {name: calls.default, addresses: [10.96.0.5], ports: [{port: 8080, protocol: TCP}], cluster: calls}
- {name: OrderService, addresses: [10.96.0.4], ports: [{port: 8080, protocol: TCP}], cluster: app}
- {name: routed.default, addresses: [10.96.0.2], ports: [{port: 80, protocol: TCP}], routes: [routed]}
- {name: circle.default, addresses: [10.96.0.3], ports: [{port: 80, protocol: TCP}], cluster: self}
routes:
- {name: routed, rules: [{matches: [{path: {value: /only}}], backends: [{cluster: app}]}]}
clusters:
- {name: app, endpoints: [{address: "127.0.0.1:9001"}]}
- {name: calls, protocol: bolt, endpoints: [{address: "127.0.0.1:9001"}]}
- {name: self, endpoints: [{address: "127.0.0.1:30101"}]}
YAML
PY=/usr/bin/python3                             # Debian's, whose package it is
$PY -c 'import hpack' 2> /dev/null || skip "python3-h2 is not installed"
weftd_start
PYTHONPATH=$SRC/test/lib $PY - <<'PY'
import subprocess
from http2_rig import *

host = Host(9001)


def curl(*args):
    return subprocess.run(["curl", "-sS", "--max-time", "30", "-x", "http://127.0.0.1:30101", *args],
                          capture_output=True, text=True).stdout


@case
def a_service_by_its_name_and_port():
    seen = json.loads(curl("http://plain.default:8080/a?b=1"))
    is_(seen["path"], "/a?b=1")
    assert ["Host", "plain.default:8080"] in seen["headers"], seen
    assert any(k.lower() == "via" for k, _ in seen["headers"])


@case
def names_have_no_case_unless_the_service_says_so():
    for name, status in (("PLAIN.Default", 200), ("OrderService", 200), ("orderservice", 404)):
        c = Client(30101)
        c.send(f"GET http://{name}:8080/x HTTP/1.1\r\nHost: x\r\n\r\n")
        is_(c.response().status, status, name)


@case
def a_service_with_routes():
    is_(json.loads(curl("http://routed.default/only/x"))["path"], "/only/x")
    assert "(NR)" in curl("http://routed.default/else")


@case
def over_http2():
    c = Client2(30101)
    r = c.get("/h2", authority="plain.default:8080")
    is_((r.status, r.json()["path"]), (200, "/h2"))
    stream = c.next
    c.next += 2
    a = c.answers[stream] = Answer()
    c.head(stream, [(":method", "CONNECT"), (":authority", "plain.default:8080")])
    eventually(lambda: a.fields or a.reset is not None)
    is_(a.status, 200)
    c.data(stream, b"GET /within HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", False)
    eventually(lambda: b'"path": "/within"' in a.body)
    c.data(stream, b"")
    is_(c.answer(stream).reset, None)
    is_(c.get("/h2", authority="nobody.default").status, 404, "the connection goes on")


@case
def what_there_is_not():
    assert "no such service (NR)" in curl("http://nobody.default/")
    assert "no such port (NR)" in curl("http://plain.default:81/")


@case
def what_passes_as_bytes_may_be_anything():
    c = Client(30101)
    c.send("CONNECT calls.default:8080 HTTP/1.1\r\nHost: calls.default:8080\r\n\r\n")
    is_(c.head()[0], 200, "whatever protocol the cluster's hosts speak")
    c.send("GET /bytes HTTP/1.1\r\nHost: a\r\n\r\n")
    is_(json.loads(c.response().body)["path"], "/bytes")
    c = Client(30101)
    c.send("GET http://calls.default:8080/ HTTP/1.1\r\nHost: a\r\n\r\n")
    is_(c.response().status, 502, "a request is not")


@case
def connect_to_a_service():
    is_(json.loads(curl("-p", "http://plain.default:8080/through"))["path"], "/through")
    c = Client(30101)
    c.send("CONNECT nobody.default:443 HTTP/1.1\r\nHost: nobody.default:443\r\n\r\n")
    is_(c.response().status, 404)


@case
def no_way_in_circles():
    out = curl("-w", " %{http_code}", "http://circle.default/")
    assert "came through this proxy before" in out and out.endswith("508"), out


run()
PY
weftd_stop
