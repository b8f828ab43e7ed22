#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# HTTP requests with JSON that become calls of Dubbo by their route: arguments by declared types, values as JSON, what is thrown,
# what is wrong with a body, errors of hosts, retries. The example is that of docs/rpc.md.
. "$(dirname "$0")/../lib/net.sh"

sed -n '/^```yaml json$/,/^```$/p' "$SRC/docs/rpc.md" | grep -v '^```' > "$T/weft.yaml"
cat >> "$T/weft.yaml" <<YAML
workers: 2
kernel: {mode: off}
telemetry: {accessLog: [{path: $T/access.log, format: json}]}
YAML

cat > "$T/json_calls.py" <<'PY'
import http.client
from rpc_rig import *

orders = DubboHost(9001, "orders")


def ask(path, body=None, method="POST", **headers):
    c = http.client.HTTPConnection("127.0.0.1", 8080, timeout=LIMIT)
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


@case
def a_body_in_pieces_and_a_try_again():
    orders.on["find"] = lambda call: call.answer(body=len(call.args[0])) if len(orders.calls) > 1 else hang_up(call)
    orders.forget()
    c = http.client.HTTPConnection("127.0.0.1", 8080, timeout=LIMIT)
    whole = json.dumps(["x" * 40000, 1, True, 1, [], {}]).encode()
    c.request("POST", "/find", (whole[i:i + 1000] for i in range(0, len(whole), 1000)), encode_chunked=True,
              headers={"Transfer-Encoding": "chunked"})
    a = c.getresponse()
    is_((a.status, a.read()), (200, b"40000"))
    is_(len(orders.calls), 2)


@case
def the_access_log_has_the_call():
    def lines():
        with open(sys.argv[1]) as f:
            return [json.loads(x) for x in f.read().split("\n")[:-1]]
    eventually(lambda: any(r["service"] == "shop/com.x.Orders:1.0" and r["rpc_method"] == "find" and r["status"] == 200 for r in lines()))


run(sys.argv[2:])
PY
weftd_start
PYTHONPATH=$SRC/test/lib python3 "$T/json_calls.py" "$T/access.log" "$@" || failed=1
weftd_stop
[ -z "${failed:-}" ]
