#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# HTTP requests with JSON to providers in Java, Dubbo's and SOFARPC's: every declared type arrives as what Java declares, and
# comes back; what Java throws, and whom it does not know.
. "$(dirname "$0")/../lib/java_tool.sh"
PEERS=$(java_tool peers) || exit 1
SOFA=$(java_tool sofa) || exit 1
export PEERS SOFA
. "$(dirname "$0")/../lib/net.sh"
export T

# rule PATH METHOD ARGUMENTS: of the protocol and package at hand, in YAML.
rule() {
	cat <<YAML
  - matches: [{path: {type: Exact, value: /$protocol/$1}}]
    rpc: {service: weft.$package.Shop, version: "${version-1.0}", group: g, method: $2, arguments: [${3:-}]}
    timeouts: {request: ${timeout-60s}}
    backends: [{cluster: $protocol}]
YAML
}

# rules PROTOCOL PACKAGE: one for each method.
rules() {
	local protocol=$1 package=$2 types
	types="{name: flag, type: boolean}, {name: small, type: byte}, {name: middle, type: short}, {name: number, type: int},
      {name: big, type: long}, {name: part, type: float}, {name: real, type: double}, {name: letter, type: char},
      {name: boxed, type: java.lang.Integer}, {name: text, type: java.lang.String}, {name: date, type: java.util.Date},
      {name: list, type: java.util.List}, {name: map, type: java.util.Map}, {name: numbers, type: \"int[]\"},
      {name: words, type: \"java.lang.String[]\"}, {name: order, type: weft.$package.Order}, {name: any, type: java.lang.Object}"
	rule all all "$types"
	rule ask ask '{name: does, type: java.lang.String}, {name: body, type: "byte[]"}'
	timeout=300ms rule late ask '{name: does, type: java.lang.String}, {name: body, type: "byte[]"}'
	rule change change "{type: weft.$package.Order}"
	rule method nothing
	version=9.9 rule service all
}

cat > "$T/weft.yaml" <<YAML
workers: 2
kernel: {mode: off}
telemetry: {accessLog: [{path: $T/access.json, format: json}]}
listeners:
- {name: api, address: "127.0.0.1:8080", protocol: http, routes: [shop]}
routes:
- name: shop
  rules:
$(rules dubbo peers)
$(rules bolt sofa)
$(rules raw sofa | sed '/group/s/group: g, //')
$(rules summed sofa)
clusters:
- {name: dubbo, protocol: dubbo, endpoints: [{address: "127.0.0.1:9001"}]}
- {name: bolt, protocol: bolt, endpoints: [{address: "127.0.0.1:9002"}]}
- {name: summed, protocol: bolt, protocolSettings: {checksum: true}, endpoints: [{address: "127.0.0.1:9002"}]}
- {name: raw, protocol: bolt, endpoints: [{address: "127.0.0.1:9003"}]}
YAML
weftd_start
PYTHONPATH=$SRC/test/lib python3 - <<'PY'
from java_peers import *
from rpc_rig import *

dubbo = Jvm("dubbo.log")
sofa = Jvm("sofa.log", "weft.sofa.Main", path=os.environ["SOFA"])
dubbo.ask("dubbo.listen", port=9001, name="a", group="g", version="1.0")
is_(sofa.ask("listen", port=9002, name="a", uniqueId="g"), {})
CLASSES = ["Boolean", "Byte", "Short", "Integer", "Long", "Float", "Double", "Character", "Integer", "String", "Date", "ArrayList",
           "HashMap", "int[]", "String[]", "Order"]
ORDER = {"id": "o-1", "count": 3, "price": 2.5, "parts": [{"id": "o-2", "count": 0, "price": 0.0, "parts": None}]}
MORE = {"dubbo": {}, "bolt": {"inner": None, "state": None}}  # fields of an order that are not sent


def post(path, body):
    r = get(path, "POST", "Content-Type: application/json\r\n", json.dumps(body))
    return r.status, r.json()


def both(fn):
    for protocol in MORE:
        def one(protocol=protocol):
            fn(protocol)
        one.__name__ = f"{fn.__name__}_of_{protocol}"
        case(one)


@both
def every_type_there_and_back(protocol):
    sent = [True, -128, 32767, -(1 << 31), (1 << 63) - 1, 1.5, 1e300, "\u20ac", 7, "\u20ac \U0001f600", 1700000000000,
            [1, "two", None, [3.5]], {"k": {"n": 1 << 40}}, [1, -2, 1 << 30], ["a", ""], ORDER, "any"]
    status, got = post(f"/{protocol}/all", sent)
    is_(status, 200, got)
    is_(got["classes"], CLASSES + ["String"])
    sent[15] = {**ORDER, **MORE[protocol]}
    is_(got["values"], sent)


@both
def numbers_of_every_size(protocol):
    whole = [0, -1, 47, 48, -2048, 2047, 262143, -262145, (1 << 31) - 1, -(1 << 31), 1 << 31, -(1 << 63)]
    real = [0.0, 1.0, -128.0, 127.5, 32767.0, 0.1, -1e-300, 3.4e38]
    text = ["", "x" * 31, "x" * 32, "\u00e9" * 1023, "x" * 1024, "\U0001f600" * 300, "x" * 33000]
    sent = [False, 0, 0, 0, 0, 0.0, 0.0, "x", None, None, None, whole + real + text, None, [], [], None, list(range(300))]
    status, got = post(f"/{protocol}/all", sent)
    is_((status, got["values"]), (200, sent))


@both
def what_may_be_null_is(protocol):
    sent = [False, 0, 0, 0, 0, 0.0, 0.0, "x", None, None, None, None, None, None, None, None, None]
    status, got = post(f"/{protocol}/all", sent)
    is_(status, 200, got)
    is_((got["values"], got["classes"]), (sent, CLASSES[:8] + [None] * 9))


@both
def arguments_by_name(protocol):
    status, got = post(f"/{protocol}/ask", {"body": "AQL/", "does": "echo"})
    is_((status, got["host"], got["does"], got["body"]), (200, "a", "echo", "AQL/"))


@both
def what_java_throws(protocol):
    status, got = post(f"/{protocol}/ask", ["throw", ""])
    is_((status, got["error"]["class"], got["error"]["message"]), (500, "java.lang.IllegalStateException", "thrown by a"))


@both
def whom_java_does_not_know(protocol):
    for path in "service", "method":
        status, got = post(f"/{protocol}/{path}", [])
        assert status == 500 and got["error"]["message"], (status, got)


@both
def who_does_not_answer_in_time(protocol):
    is_(get(f"/{protocol}/late", "POST", "Content-Type: application/json\r\n", json.dumps(["silent", ""])).status, 504)


@case
def the_call_is_what_javas_own_client_sends():
    raw = BoltHost(9003, "raw")
    sofa.ask("all", port=9003)
    sent = [True, -128, 300, 70000, 1 << 40, 1.5, 0.1, "x", 7, "hi", 1000, [1, "two", None, 1 << 31], {"k": 2.0}, [1, 2], None, None, None]
    is_(get("/raw/all", "POST", "Content-Type: application/json\r\n", json.dumps(sent)).status, 502, "its echo is no answer")
    java, weft = (c.frame for c in raw.calls)
    is_(raw.wrong, [])
    is_((weft.cls, weft.codec, weft.version, weft.timeout), (java.cls, java.codec, java.version, 60000))
    trace = "rpc_trace_context"
    is_(dict(weft.fields), {k: v for k, v in java.fields if not k.startswith(trace)})
    begin = java.body.index(b"\x11" + trace.encode())
    is_(weft.body.hex(), (java.body[:begin] + java.body[java.body.index(b"\x04type"):]).hex())


@case
def with_checksums():
    status, got = post("/summed/ask", ["x" * 50000, "AQL/"])
    is_((status, got["does"], got["body"]), (200, "x" * 50000, "AQL/"))


@case
def an_object_with_others_in_it():
    order = {**ORDER, "inner": {"id": "o-3", "state": {"name": "OPEN"}}}
    status, got = post("/bolt/change", [order])
    is_(status, 200, got)
    inner = {"id": "o-3", "count": 0, "price": 0.0, "parts": None, "inner": None, "state": {"name": "OPEN"}}
    is_(got, {**ORDER, "id": "o-1 of a", "inner": inner, "state": {"name": "SENT"}})


@case
def the_access_log_has_the_calls():
    names = {("g/weft.peers.Shop:1.0", "ask"), ("weft.sofa.Shop:1.0:g", "ask")}
    eventually(lambda: names <= {(r["service"], r["rpc_method"]) for r in log_lines()})


run()
PY
weftd_stop
