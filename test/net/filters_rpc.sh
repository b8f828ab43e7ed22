#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Filters over bolt and Dubbo, the same cases for each: what they are shown, answers of their own as the protocol has them, calls that
# wait beside others on one connection, oneway calls, limits exact over workers and connections, faults, rules by service and
# method, a filter that asks an HTTP service about each call, clients that go.
. "$(dirname "$0")/../lib/net.sh"
. "$SRC/test/lib/plugins.sh"
plugin_build "$SRC/test/plugins/filter_probe.c"
plugin_build "$SRC/test/plugins/ext_authz.c"
config() {  # protocol
	cat <<-YAML
	workers: 3
	kernel: {mode: off}
	plugins: [{path: $PLUGINS/filter_probe.so}, {path: $PLUGINS/ext_authz.so}]
	telemetry: {accessLog: [{path: $T/access.json, format: json}]}
	listeners:
	- {name: calls, address: "127.0.0.1:8080", protocol: $1, filters: [{type: probe, tag: all}], routes: [calls]}
	- {name: asked, address: "127.0.0.1:8081", protocol: $1, filters: [{type: ext-authz, cluster: auth, timeout: 60s}], routes: [calls]}
	routes:
	- name: calls
	  rules:
	  - {matches: [{service: {value: limit}}], filters: [{type: local-rate-limit, requests: 7, per: 1h}], backends: [{cluster: app}]}
	  - {matches: [{service: {value: slow}}], filters: [{type: Fault, delay: {percent: 100, fixed: 20ms}}], backends: [{cluster: app}]}
	  - {matches: [{service: {value: broken}}], filters: [{type: Fault, abort: {percent: 100, status: 503}}], backends: [{cluster: app}]}
	  - {matches: [{service: {value: half}}], filters: [{type: Fault, abort: {percent: 50, status: 503}}], backends: [{cluster: app}]}
	  - {matches: [{service: {value: shop}, rpcMethod: {value: special}}], filters: [{type: probe-two, tag: rule}], backends: [{cluster: app}]}
	  - {matches: [{service: {value: shop}, headers: [{name: x-user, value: bob}]}], filters: [{type: probe, tag: bob}], backends: [{cluster: app}]}
	  - backends: [{cluster: app}]
	clusters:
	- {name: app, protocol: $1, endpoints: [{address: "127.0.0.1:9001"}]}
	- {name: auth, endpoints: [{address: "127.0.0.1:9002"}]}
	YAML
}
cat > "$T/cases.py" <<'PY'
import re
import rpc_rig
from rpc_rig import *

name = sys.argv[1]
HostOf, ClientOf = PEERS[name]
BUSY = BUSY_WORD[name]
WELL = 0 if name == "bolt" else OK
app, auth = HostOf(9001, "app"), rpc_rig.Host(9002)
body = b"body" if name == "bolt" else "body"


def ask(words="", service="shop", method="buy", c=None, b=body, **fields):
    own = c or ClientOf(8080)
    try:
        return own.ask(service, method, b, {"x-probe": words, **{k.replace("_", "-"): v for k, v in fields.items()}}, timeout=60000)
    finally:
        if not c:
            own.close()


def lines(service):
    """Of the access log, about a service."""
    text = open(os.environ["T"] + "/access.json").read()
    return [l for l in map(json.loads, text[:text.rfind("\n") + 1].splitlines()) if l["service"] == service]


def record(service):
    """The last of them, when there is one."""
    eventually(lambda: lines(service))
    return lines(service)[-1]


@case
def what_they_are_shown():
    a = ask("q:set:x-a=1,q:note:k=v,r:set:x-b=2", service="seen")
    is_((a.status, a.body, a.fields.get("x-b")), (WELL, body, "2"))
    assert re.fullmatch(r"all:,q,qb\d+e,r", a.fields["x-seen-probe"]), a.fields
    is_(app.calls[-1].fields.get("x-a"), "1")
    is_(record("seen")["notes"], {"tags": "all", "k": "v"})


@case
def rules_by_service_method_and_header():
    a = ask(method="special")
    is_((a.fields["x-seen-probe"][:5], a.fields["x-seen-probe-two"][:6]), ("all:,", "rule:,"))
    a = ask(x_user="bob")
    is_((a.fields["x-seen-probe"][:5], a.fields.get("x-seen-probe-two")), ("bob:,", None))
    is_(ask(method="special", x_probe_two="q:reply:503").status, BUSY)


@case
def answers_of_their_own():
    c = ClientOf(8080)
    for part in "q", "qb":
        app.forget()
        for status in 503, 429:
            is_(ask(f"{part}:reply:{status}", c=c).status, BUSY, f"{part} {status}")
        assert ask(f"{part}:reply:404", c=c).status not in (WELL, BUSY)
        is_(app.calls, [])
    is_(ask("r:reply:503", service="own", c=c).status, BUSY)
    is_(len(app.calls), 1)
    is_((record("own")["flags"], record("own")["detail"]), ("UAEX", "probed"))
    assert ask("q:wait:5,q:then:reply", c=c).status != WELL
    is_(ask(c=c).status, WELL, "on the same connection")
    c.close()


@case
def some_wait_others_go():
    """In any order on one connection; the one whose client goes is heard of no more."""
    eventually(lambda: metric("weft_filter_active") == 0)
    c = ClientOf(8080)
    app.forget()
    held = [c.call("held", "buy", body, {"x-probe": w}, timeout=60000) for w in ("q:wait:60000", "qb:wait:60000", "r:wait:60000")]
    later = [c.call("later", "buy", body, {"x-probe": w}, timeout=60000) for w in ("q:wait:30", "qb:wait:20", "r:wait:10", "rb:wait:5", "")]
    for i in reversed(later):
        is_(c.answer(i).status, WELL)
    is_(c.answers, {})
    is_(len(held), 3)
    eventually(lambda: metric("weft_filter_active") == 3)
    c.reset()
    eventually(lambda: metric("weft_filter_active") == 0)
    is_(sorted(x.service for x in app.calls), ["held"] + ["later"] * 5)


@case
def oneway_calls():
    c = ClientOf(8080)
    app.forget()
    c.call("one", "buy", body, {"x-probe": "q:set:x-a=1,q:wait:5"}, timeout=60000, oneway=True)
    eventually(lambda: [x.fields.get("x-a") for x in app.calls] == ["1"])
    c.call("refused", "buy", body, {"x-probe": "q:reply:503"}, timeout=60000, oneway=True)
    is_(record("refused")["flags"], "UAEX")
    is_(ask("", c=c).status, WELL)
    is_((c.answers, [x.service for x in app.calls]), ({}, ["one", "shop"]))
    c.close()


@case
def bodies():
    c = ClientOf(8080)
    big = os.urandom(300000) if name == "bolt" else "x" * 300000
    for words in "qb:wait:2,rb:wait:2", "q:collect:900000", "r:collect:900000,rb:wait:2":
        is_(ask(words, c=c, b=big).body == big, True, words)
    assert ask("q:collect:1000", c=c, b=big).status != WELL
    is_(ask("", c=c).status, WELL)
    c.close()


@case
def a_limit_is_the_nodes():
    got = []
    clients = [ClientOf(8080) for _ in range(12)]
    numbers = [(c, c.call("limit", "buy", body, timeout=60000)) for c in clients for _ in range(3)]
    got = [c.answer(i).status for c, i in numbers]
    is_((got.count(WELL), got.count(BUSY)), (7, 29))
    eventually(lambda: [l["flags"] for l in lines("limit")].count("RL") == 29)
    for c in clients:
        c.close()


@case
def faults():
    app.forget()
    is_(ask(service="slow").status, WELL)
    is_(record("slow")["flags"], "DI")
    is_(ask(service="broken").status, BUSY)
    is_((record("broken")["flags"], [x.service for x in app.calls]), ("FI", ["slow"]))
    c = ClientOf(8080)
    got = [ask(service="half", c=c).status for _ in range(90)]
    assert set(got) == {WELL, BUSY} and 18 < got.count(BUSY) < 72, got
    c.close()


@case
def a_service_is_asked_about_each_call():
    auth.on["/check"] = lambda c, r: answer(c, r, b"because", "403 No" if r.get("x-original") == ["no"] else "200 OK", "x-auth-user: bob\r\n")
    c = ClientOf(8081)
    app.forget()
    numbers = [c.call("no" if i % 3 == 2 else "yes", "buy", body, timeout=60000) for i in range(30)]
    got = [c.answer(i).status for i in numbers]
    is_([s == WELL for s in got], [i % 3 != 2 for i in range(30)])
    is_((len(app.calls), {x.fields.get("x-auth-user") for x in app.calls}, {x.service for x in app.calls}), (20, {"bob"}, {"yes"}))
    is_(record("no")["detail"], "the authorization service says no")
    auth.on["/check"] = lambda c, r: "close"
    is_(c.ask("yes", "buy", body, timeout=60000).status, BUSY)
    gone = threading.Event()
    auth.on["/check"] = lambda c, r: c.closed() and gone.set() or "close"
    auth.forget()
    c.call("yes", "buy", body, timeout=60000)
    c.call("yes", "buy", body, oneway=True, timeout=60000)
    eventually(lambda: len(auth.requests) >= 2)
    c.reset()
    assert gone.wait(LIMIT)
    eventually(lambda: metric("weft_filter_active") == 0)


run(sys.argv[2:])
PY
rc=0
for protocol in bolt dubbo; do
	config $protocol > "$T/weft.yaml"
	: > "$T/access.json"
	weftd_start
	PYTHONPATH=$SRC/test/lib T=$T python3 "$T/cases.py" $protocol | sed "s/^case \(pass\|fail\) /case \1 $protocol /" || rc=1
	weftd_stop
done
exit $rc
