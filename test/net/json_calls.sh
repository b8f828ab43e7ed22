#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# HTTP requests with JSON that become calls of Dubbo and SOFARPC by their route: arguments by declared types, values as JSON, what
# is thrown, what is wrong with a body, errors of hosts, retries. The example is that of docs/rpc.md.
. "$(dirname "$0")/../lib/net.sh"
export T
PY=/usr/bin/python3                             # Debian's, whose package python3-h2 is
$PY -c 'import hpack' 2> /dev/null || skip "python3-h2 is not installed"

mkdir "$T/conf.d"
sed -n '/^```yaml json$/,/^```$/p' "$SRC/docs/rpc.md" | grep -v '^```' > "$T/weft.yaml"
cat > "$T/conf.d/more.yaml" <<YAML
listeners:
- {name: more, address: "127.0.0.1:8081", protocol: http, routes: [more]}
- {name: late, address: "127.0.0.1:8082", protocol: http, routes: [more], filters: [{type: Fault, delay: {percent: 100, fixed: 300ms}}]}
routes:
- name: more
  rules:
  - matches: [{path: {type: Exact, value: /orders}}]
    rpc: {service: com.x.Orders, method: put, arguments: [{type: java.lang.String}], bodyBytes: 1MiB}
    backends: [{cluster: orders}]
  - matches: [{path: {type: Exact, value: /ships}}]
    rpc: {service: com.x.Ships, method: put, arguments: [{type: java.lang.String}], bodyBytes: 1MiB}
    backends: [{cluster: ships}]
  - matches: [{path: {type: Exact, value: /summed}}]
    rpc: {service: com.x.Ships, method: put}
    backends: [{cluster: summed}]
clusters:
- {name: summed, protocol: bolt, protocolSettings: {checksum: true}, endpoints: [{address: "127.0.0.1:9002"}]}
YAML
cat >> "$T/weft.yaml" <<YAML
workers: 2
kernel: {mode: off}
telemetry: {accessLog: [{path: $T/access.json, format: json}]}
YAML

cat > "$T/json_calls.py" <<'PY'
import http.client
import http2_rig as two
from rpc_rig import *

orders = DubboHost(9001, "orders")
ships = BoltHost(9002, "ships")


def ask(path, body=None, method="POST", port=8080, **headers):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT)
    data = body if body is None or isinstance(body, (bytes, str)) else json.dumps(body)
    c.request(method, path, data, {"Content-Type": "application/json", **headers})
    a = c.getresponse()
    text = a.read()
    c.close()
    is_(a.getheader("content-type"), "application/json")
    is_(int(a.getheader("content-length")), len(text))
    return a.status, json.loads(text)


def value(v, kind=1):
    """An answer that is these bytes of hessian2."""
    return lambda call: call.conn.send(Dubbo(False, call.id, status=OK, body=bytes([0x90 + kind]) + v).pack())


def named(s):
    """A name among the draft of hessian2 that SOFARPC speaks: short ones have their length in one byte."""
    return bytes([len(s)]) + s.encode()


def sofa(failed=b"F", message=b"N", v=b"N", props=b"N"):
    fields = b"".join(map(named, ("isError", "errorMsg", "appResponse", "responseProps")))
    return b"O\xbe" + ANSWER_CLASS.encode() + b"\x94" + fields + b"o\x90" + failed + message + v + props


def said(**more):
    return lambda call: call.answer(body=sofa(**more), fields={})


@case
def arguments_by_place_and_by_name():
    orders.forget()
    orders.on["find"] = lambda call: call.answer(body={"got": call.args})
    is_(ask("/find", ["a-1", 7, True, 1.5, [1, 2], {"k": None}]), (200, {"got": ["a-1", 7, True, 1.5, [1, 2], {"k": None}]}))
    named = {"id": "a-1", "count": 7, "all": True, "limit": 2, "lines": [1, 2], "more": {"k": "\u20ac\U0001f600"}}
    is_(ask("/find", named), (200, {"got": ["a-1", 7, True, 2.0, [1, 2], {"k": "\u20ac\U0001f600"}]}))
    call = orders.calls[-1]
    is_((call.service, call.method), ("shop/com.x.Orders:1.0", "find"))
    is_(call.types, "Ljava/lang/String;JZD[ILjava/util/Map;")
    is_({k: call.fields[k] for k in ("path", "interface", "version", "group")},
        {"path": "com.x.Orders", "interface": "com.x.Orders", "version": "1.0", "group": "shop"})
    is_(orders.wrong, [])


@case
def no_arguments_need_no_body():
    orders.on["all"] = value(hessian([1, "two", None, 3.0, {"a": b"\x00\xff"}, 1 << 40, False]))
    is_(ask("/all", method="GET"), (200, [1, "two", None, 3.0, {"a": "AP8="}, 1 << 40, False]))
    is_(ask("/all", []), (200, [1, "two", None, 3.0, {"a": "AP8="}, 1 << 40, False]))
    orders.on["all"] = value(b"", 2)
    is_(ask("/all", method="GET"), (200, None))


@case
def objects_become_what_they_hold():
    order = b"C\x0bcom.x.Order\x93\x02id\x05lines\x04self\x60\x03a-1" + b"x" + b"Q\x90"
    orders.on["all"] = value(order)
    is_(ask("/all", method="GET"), (200, {"id": "a-1", "lines": [], "self": None}))


@case
def an_object_of_a_class():
    orders.on["put"] = lambda call: call.answer(body=call.args[0])
    is_(ask("/put", {"order": {"id": "a-2", "n": 3}}), (200, {"id": "a-2", "n": 3}))
    is_(orders.calls[-1].types, "Lcom/x/Order;")
    assert b"M\x0bcom.x.Order" in orders.calls[-1].frame.body


@case
def what_is_thrown_is_an_error():
    thrown = b"C\x1fjava.lang.IllegalStateException\x92\x0ddetailMessage\x05cause\x60\x04bangQ\x90"
    orders.on["all"] = value(thrown, 0)
    is_(ask("/all", method="GET"), (500, {"error": {"class": "java.lang.IllegalStateException", "message": "bang"}}))


@case
def errors_of_the_host_and_of_weft():
    orders.on["all"] = status(60, "no such service here")
    is_(ask("/all", method="GET"), (404, {"error": {"message": "no such service here"}}))
    orders.on["all"] = status(31, "too slow")
    is_(ask("/all", method="GET"), (504, {"error": {"message": "too slow"}}))
    orders.on["all"] = value(b"\x40")
    c = http.client.HTTPConnection("127.0.0.1", 8080, timeout=LIMIT)
    c.request("GET", "/all")
    is_(c.getresponse().status, 502)
    del orders.on["all"]


@case
def bodies_that_are_not_what_the_call_wants():
    orders.forget()
    for body, words in (("{", "body is no JSON"), ("", "body is no JSON"), ([1], "body has 1 arguments, want 6"),
                        ({"id": "x"}, "argument 2, count: want one: it is missing"),
                        ([1, 7, True, 1.5, [], {}], "argument 1, id: want a string"),
                        (["a", "7", True, 1.5, [], {}], "argument 2, count: want a whole number"),
                        (["a", None, True, 1.5, [], {}], "argument 2, count: want a value"),
                        (["a", 7, 1, 1.5, [], {}], "argument 3, all: want true or false"),
                        (["a", 7, True, 1.5, [1 << 31], {}], "argument 5, lines: want a whole number from -2147483648"),
                        (["a", 7, True, 1.5, 3, {}], "argument 5, lines: want an array")):
        code, said = ask("/find", body)
        is_(code, 400)
        assert said["error"]["message"].startswith(words), said
    is_(ask("/find", "[" + " " * 70000 + "]")[0], 413)
    is_(orders.calls, [])


def in_pieces(path, value, port=8080):
    """JSON in chunks: its status and body."""
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT)
    whole = json.dumps(value).encode()
    c.request("POST", path, (whole[i:i + 1000] for i in range(0, len(whole), 1000)), encode_chunked=True,
              headers={"Transfer-Encoding": "chunked"})
    a = c.getresponse()
    return a.status, a.read()


@case
def a_body_in_pieces_and_a_try_again():
    orders.on["find"] = lambda call: call.answer(body=len(call.args[0])) if len(orders.calls) > 1 else hang_up(call)
    orders.forget()
    is_(in_pieces("/find", ["x" * 40000, 1, True, 1, [], {}]), (200, b"40000"))
    is_(len(orders.calls), 2)
    ships.on["ship"] = lambda call: said(v=b"\x90")(call) if len(ships.calls) > 1 else hang_up(call)
    ships.forget()
    is_(in_pieces("/ship", [{"id": "x" * 40000}, []]), (200, b"0"))
    is_([len(c.body) > 40000 for c in ships.calls], [True, True])


@case
def a_call_of_sofarpc():
    ships.forget()
    ships.on["ship"] = said(v=named("shipped"))
    is_(ask("/ship", {"order": {"id": "a-1", "lines": [1, 2]}, "to": ["Sydney"]}, **{"X-Secret": "1"}), (200, "shipped"))
    call = ships.calls[-1]
    is_((call.frame.version, call.frame.cls, call.frame.codec, call.timeout, call.oneway), (1, REQUEST_CLASS, 1, 5000, False))
    is_(call.fields, {"service": "com.x.Ships:1.0:north", "sofa_head_target_service": "com.x.Ships:1.0:north",
                      "sofa_head_method_name": "ship", "protocol": "bolt", "type": "sync"})
    names = "targetAppName", "methodName", "targetServiceUniqueName", "requestProps", "methodArgSigs"
    props = b"M" + b"".join(map(named, ("protocol", "bolt", "type", "sync"))) + b"z"
    types = b"Vt\0\x07[stringn\x02" + named("com.x.Order") + named("[Ljava.lang.String;") + b"z"
    order = b"Mt\0\x0bcom.x.Order" + named("id") + named("a-1") + named("lines") + b"Vn\x02\x91\x92zz"
    is_(call.body, b"O\xbc" + REQUEST_CLASS.encode() + b"\x95" + b"".join(map(named, names)) + b"o\x90N" + named("ship") +
        named("com.x.Ships:1.0:north") + props + types + order + b"Vt\0\x07[stringn\x01" + named("Sydney") + b"z")
    is_(ships.wrong, [])


@case
def values_of_sofarpc():
    for v, json_ in ((b"N", None), (b"\x97", 7), (b"k\x3f\xc0\0\0", 1.5), (b"w\x80\0\0\0", -(1 << 31)), (b"T", True),
                     (b"Vn\x02\x90\x91z", [0, 1]), (b"Mt\0\x01a\x01k\x22\0\xffz", {"k": "AP8="}),
                     (b"O\x93Car\x92\x01a\x01bo\x91\x91J\x01", {"a": 1, "b": None})):
        ships.on["ship"] = said(v=v)
        is_(ask("/ship", [{}, None]), (200, json_))


@case
def what_sofarpc_throws_is_an_error():
    thrown = b"O\xafjava.lang.IllegalStateException\x92" + named("detailMessage") + named("stackTrace") + b"o\x91" + named("bang") + b"Vz"
    error = {"error": {"class": "java.lang.IllegalStateException", "message": "bang"}}
    mark = {"sofa_head_response_error": "true"}
    ships.on["ship"] = lambda call: call.answer(body=sofa(v=thrown, props=b"M" + named("sofa_head_response_error") + named("true") + b"z"), fields=mark)
    is_(ask("/ship", [{}, None]), (500, error))
    ships.on["ship"] = said(v=thrown)
    is_(ask("/ship", [{}, None]), (500, error))
    bare = b"O\x93a.E\x91" + named("detailMessage") + b"o\x91" + named("bang")
    ships.on["ship"] = lambda call: call.answer(body=sofa(v=bare), fields=mark)
    is_(ask("/ship", [{}, None]), (500, {"error": {"class": "a.E", "message": "bang"}}))
    ships.on["ship"] = said(v=bare)
    is_(ask("/ship", [{}, None]), (200, {"detailMessage": "bang"}))
    ships.on["ship"] = lambda call: call.answer(body=sofa(b"T", named("no such method")), fields=mark)
    is_(ask("/ship", [{}, None]), (500, {"error": {"message": "no such method"}}))


@case
def errors_of_bolts_hosts():
    for code, http_, name in ((TIMEOUT, 504, "TIMEOUT"), (BUSY, 503, "SERVER_THREADPOOL_BUSY"), (NO_PROCESSOR, 500, "NO_PROCESSOR"),
                              (CONNECTION_CLOSED, 502, "CONNECTION_CLOSED"), (99, 500, "a status that bolt does not have")):
        ships.on["ship"] = status(code)
        is_(ask("/ship", [{}, None]), (http_, {"error": {"message": name}}))
    ships.on["ship"] = status(EXCEPTION, b"O\x93a.E\x91" + named("detailMessage") + b"o\x90" + named("bang"))
    is_(ask("/ship", [{}, None]), (500, {"error": {"class": "a.E", "message": "bang"}}))
    ships.on["ship"] = status(EXCEPTION, b"nonsense")
    is_(ask("/ship", [{}, None]), (500, {"error": {"message": "SERVER_EXCEPTION"}}))


def raw_answer(**more):
    return lambda call: call.conn.send(Bolt(ANSWER, call.id, **{"body": sofa(v=b"\x97"), **more}).pack())


@case
def answers_of_bolt_that_are_none():
    ships.on["ship"] = raw_answer(version=2, crc=True)
    is_(ask("/ship", [{}, None]), (200, 7))
    for more in ({"version": 2, "crc": True, "crc_bits": 1}, {"codec": 12}, {"body": b"\x97"}, {"body": b""}, {"body": sofa(v=b"@")},
                 {"body": sofa(v=b"V" * 65)}, {"body": sofa(v=b"Vt\0\0" + b"\x91" * 600000 + b"z")}):
        ships.on["ship"] = raw_answer(**more)
        c = http.client.HTTPConnection("127.0.0.1", 8080, timeout=LIMIT)
        c.request("POST", "/ship", "[{}, null]")
        is_(c.getresponse().status, 502, str(more)[:100])


@case
def over_http2():
    ships.on["ship"] = said(v=named("shipped"))
    orders.on["all"] = value(hessian([1]))
    c = two.Client2(8080)
    for path, body, said_ in (("/ship", b"[{}, null]", b'"shipped"'), ("/all", b"[]", b"[1]")):
        a = c.answer(c.ask(path, "POST", body=body))
        is_((a.status, a.get("content-type"), a.body), (200, "application/json", said_))


@case
def a_rule_may_take_longer_bodies():
    orders.on["put"] = lambda call: call.answer(body=len(call.args[0]))
    ships.on["put"] = lambda call: said(v=hessian(len(call.body) > 1000000))(call)
    whole, more = json.dumps(["x" * 1000000]), json.dumps(["x" * (1 << 20)])
    for path, want, port in ("/orders", 1000000, 8081), ("/ships", True, 8081), ("/ships", True, 8082):
        is_(ask(path, whole, port=port), (200, want))
        is_(in_pieces(path, ["x" * 1000000], port), (200, json.dumps(want).encode()))
        is_(ask(path, more, port=port), (413, {"error": {"message": "the body is over 1048576 bytes"}}))
        c = two.Client2(port)
        a = c.answer(c.ask(path, "POST", body=whole.encode()))
        is_((a.status, json.loads(a.body)), (200, want))


@case
def a_cluster_may_want_checksums():
    ships.on["put"] = said(v=b"T")
    is_(ask("/summed", [], port=8081), (200, True))
    frame = ships.calls[-1].frame
    is_((frame.version, frame.ver1, frame.crc, frame.crc_ok, ships.wrong), (2, 2, True, True, []))


@case
def the_access_log_has_the_call():
    for who in ("shop/com.x.Orders:1.0", "find"), ("com.x.Ships:1.0:north", "ship"):
        eventually(lambda: any((r["service"], r["rpc_method"], r["status"]) == (*who, 200) for r in log_lines()))


run(sys.argv[1:])
PY
weftd_start
weft explain http POST http://127.0.0.1:8080/ship > "$T/explained"
grep -qF 'calls          ship(com.x.Order, java.lang.String[]) of com.x.Ships, group north' "$T/explained" || { cat "$T/explained"; failed=1; }
PYTHONPATH=$SRC/test/lib $PY "$T/json_calls.py" "$@" || failed=1
weftd_stop
[ -z "${failed:-}" ]
