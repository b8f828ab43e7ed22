#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# HTTP requests with JSON to a Dubbo provider in Java: every declared type arrives as what Java declares, and comes back.
. "$(dirname "$0")/../lib/java_tool.sh"
PEERS=$(java_tool peers) || exit 1
export PEERS
. "$(dirname "$0")/../lib/net.sh"
export T
cat > "$T/weft.yaml" <<YAML
workers: 2
kernel: {mode: off}
listeners:
- {name: api, address: "127.0.0.1:8080", protocol: http, routes: [shop]}
routes:
- name: shop
  rules:
  - matches: [{path: {type: Exact, value: /all}}]
    rpc:
      service: weft.peers.Shop
      version: "1.0"
      group: g
      method: all
      arguments:
      - {name: flag, type: boolean}
      - {name: small, type: byte}
      - {name: middle, type: short}
      - {name: number, type: int}
      - {name: big, type: long}
      - {name: part, type: float}
      - {name: real, type: double}
      - {name: letter, type: char}
      - {name: boxed, type: java.lang.Integer}
      - {name: text, type: java.lang.String}
      - {name: date, type: java.util.Date}
      - {name: list, type: java.util.List}
      - {name: map, type: java.util.Map}
      - {name: numbers, type: "int[]"}
      - {name: words, type: "java.lang.String[]"}
      - {name: order, type: weft.peers.Order}
      - {name: any, type: java.lang.Object}
    backends: [{cluster: shop}]
  - matches: [{path: {type: Exact, value: /ask}}]
    rpc:
      service: weft.peers.Shop
      version: "1.0"
      group: g
      method: ask
      arguments: [{name: does, type: java.lang.String}, {name: body, type: "byte[]"}]
    backends: [{cluster: shop}]
  - matches: [{path: {type: Exact, value: /none}}]
    rpc: {service: weft.peers.Shop, method: ask}
    backends: [{cluster: shop}]
clusters:
- {name: shop, protocol: dubbo, endpoints: [{address: "127.0.0.1:9001"}]}
YAML
weftd_start
PYTHONPATH=$SRC/test/lib python3 - <<'PY'
from http_rig import *
from java_peers import *

host = Jvm("host.log")
host.ask("dubbo.listen", port=9001, name="a", group="g", version="1.0")
CLASSES = ["Boolean", "Byte", "Short", "Integer", "Long", "Float", "Double", "Character", "Integer", "String", "Date", "ArrayList",
           "HashMap", "int[]", "String[]", "Order"]


def post(path, body):
    r = get(path, "POST", "Content-Type: application/json\r\n", json.dumps(body))
    return r.status, r.json()


@case
def every_type_there_and_back():
    order = {"id": "o-1", "count": 3, "price": 2.5, "parts": [{"id": "o-2", "count": 0, "price": 0.0, "parts": None}]}
    sent = [True, -128, 32767, -(1 << 31), (1 << 63) - 1, 1.5, 1e300, "\u20ac", 7, "\u20ac \U0001f600", 1700000000000,
            [1, "two", None, [3.5]], {"k": {"n": 1 << 40}}, [1, -2, 1 << 30], ["a", ""], order, "any"]
    status, got = post("/all", sent)
    is_(status, 200, got)
    is_(got["classes"], CLASSES + ["String"])
    is_(got["values"], sent)


@case
def what_may_be_null_is():
    sent = [False, 0, 0, 0, 0, 0.0, 0.0, "x", None, None, None, None, None, None, None, None, None]
    status, got = post("/all", sent)
    is_(status, 200, got)
    is_((got["values"], got["classes"]), (sent, CLASSES[:8] + [None] * 9))


@case
def arguments_by_name():
    status, got = post("/ask", {"body": "AQL/", "does": "echo"})
    is_((status, got["host"], got["does"], got["body"]), (200, "a", "echo", "AQL/"))


@case
def what_java_throws():
    status, got = post("/ask", ["throw", ""])
    is_((status, got["error"]["class"], got["error"]["message"]), (500, "java.lang.IllegalStateException", "thrown by a"))
    status, got = post("/none", [])
    assert status >= 500 and "error" in got, (status, got)


run()
PY
weftd_stop
