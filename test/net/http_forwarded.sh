#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# X-Forwarded-* and Forwarded: who is believed, what the host gets, and the example of docs/forwarded.md as it stands.
. "$(dirname "$0")/../lib/net.sh"

listener() { echo "- {name: $1, address: \"[::1]:$2\", routes: [all], $3}"; echo "- {name: $1-4, address: \"127.0.0.1:$2\", routes: [all], $3}"; }
cat > "$T/weft.yaml" <<YAML
workers: 2
kernel: {mode: off}
telemetry: {accessLog: [{path: $T/access.json, format: json}]}
listeners:
$(listener append 8081 'xff: append, forwarded: forwarded')
$(listener set 8082 'xff: set, forwarded: both, trusted: [127.0.0.0/8, 10.0.0.0/8]')
$(listener strangers 8083 'xff: set, forwarded: both')
$(listener x 8084 'xff: append, trusted: [127.0.0.1]')
$(listener keep 8085 'trusted: [127.0.0.1], forwarded: both')
$(listener proxied 8086 'xff: set, trusted: [127.0.0.1], netFilters: [{type: proxy-protocol}]')
routes:
- name: all
  rules:
  - {matches: [{path: {value: /other}}], filters: [{type: URLRewrite, hostname: inner.example}], backends: [{cluster: app}]}
  - {matches: [{path: {value: /away}}], filters: [{type: RequestRedirect, hostname: b.example}]}
  - {matches: [{path: {value: /hash}}], hash: [{sourceIP: true}], backends: [{cluster: two}]}
  - {backends: [{cluster: app}]}
clusters:
- {name: app, endpoints: [{address: "127.0.0.1:9001"}]}
- {name: two, loadBalancer: maglev, endpoints: [{address: "127.0.0.1:9001"}, {address: "127.0.0.1:9002"}]}
YAML
weftd_start
cat > "$T/rig.py" <<'PY'
import os
from http_rig import *

host, other = Host(9001), Host(9002)
ours = r"for=127.0.0.1;by=127.0.0.1;host=a.example;proto=http"


def told(port, headers="", path="/", name="forwarded", client=None):
    host.forget()
    c = client or Client(port)
    r = c.ask(path, headers=headers)
    is_(r.status, 200)
    got = [v for k, v in r.json()["headers"] if k.lower() == name]
    c.close()
    return got


def xff(*a, **k):
    return told(*a, name="x-forwarded-for", **k)


def client_of(path):
    eventually(lambda: any(json.loads(x)["path"] == path for x in open(os.environ["LOG"])))
    return next(json.loads(x)["client"] for x in open(os.environ["LOG"]) if json.loads(x)["path"] == path)


def refused():
    return metric("weft_http_forwarded_refused_total")


@case
def append_adds_an_element():
    is_(told(8081), [ours])
    is_(told(8081, 'Forwarded: for=_hidden, for="_x:_y"\r\nForwarded: for=unknown;secret=a\r\n'),
        ['for=_hidden, for="_x:_y", for=unknown;secret=a, ' + ours])
    is_(xff(8081, "X-Forwarded-For: 1.2.3.4\r\n"), ["1.2.3.4"], "the other family is passed on")


@case
def ipv6_is_quoted():
    s = socket.create_connection(("::1", 8081))
    c = Stream.__new__(Client)
    Stream.__init__(c, s)
    is_(told(8081, client=c), ['for="[::1]";by="[::1]";host=a.example;proto=http'])
    c = Client(8081)
    is_(c.ask("/", host="a.example:8081").json()["headers"][1][1],
        'for=127.0.0.1;by=127.0.0.1;host="a.example:8081";proto=http')


@case
def what_is_no_forwarded_is_dropped():
    for bad in ('for="1.2.3.4', "for=1.2.3.4;for=2.3.4.5", "for", "for=[::1]", '=a', 'for="a\\"'):
        before = refused()
        is_(told(8081, f"Forwarded: {bad}\r\n"), [ours], bad)
        eventually(lambda: refused() > before)


@case
def the_client_is_found_behind_those_who_are_trusted():
    way = 'X-Forwarded-For: 9.9.9.9, 198.51.100.7, 10.0.0.3:80\r\nX-Forwarded-Proto: https\r\n'
    is_(xff(8082, way), ["198.51.100.7"])
    is_(told(8082, way, name="x-forwarded-proto"), ["https"])
    is_(told(8082, 'Forwarded: for="[2001:db8::1]:5";proto=HTTPS\r\n'),
        ['for="[2001:db8::1]";by=127.0.0.1;host=a.example;proto=https'])
    is_(xff(8082, 'Forwarded: for="[2001:db8::1]:5";proto=https\r\n', path="/six"), ["2001:db8::1"])
    is_(client_of("/six"), "[2001:db8::1]:5")
    is_(xff(8082, "Forwarded: for=_hidden\r\n"), ["127.0.0.1"], "a hidden one has no address")
    is_(xff(8084, "X-Forwarded-For: 198.51.100.7\r\n", path="/plain"), ["198.51.100.7, 127.0.0.1"], "append adds the peer")
    is_(client_of("/plain"), "198.51.100.7")


@case
def strangers_are_not_believed():
    lies = ("X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\n"
            "Forwarded: for=9.9.9.9;proto=https\r\n")
    is_(xff(8083, lies, path="/lies"), ["127.0.0.1"])
    is_(told(8083, lies), [ours])
    is_(told(8083, lies, name="x-forwarded-proto"), ["http"])
    is_(told(8083, lies, name="x-forwarded-host") + told(8083, lies, name="x-forwarded-port"), [])
    assert client_of("/lies").startswith("127.0.0.1:")


@case
def those_who_contradict_each_other_are_not_believed():
    before = refused()
    is_(xff(8082, "X-Forwarded-For: 198.51.100.7\r\nForwarded: for=203.0.113.9\r\n"), ["127.0.0.1"])
    eventually(lambda: refused() > before)
    is_(xff(8082, "X-Forwarded-For: 203.0.113.9\r\nForwarded: for=203.0.113.9\r\n"), ["203.0.113.9"])


@case
def the_host_asked_for_is_told_when_another_is_asked():
    is_(told(8082, path="/other", name="x-forwarded-host"), ["a.example"])
    is_(told(8082, path="/other", name="host"), ["inner.example"])
    is_(told(8082, name="x-forwarded-host"), [])
    is_(told(8081, path="/other"), [ours])
    is_(told(8084, "X-Forwarded-Host: outer.example\r\n", path="/other", name="x-forwarded-host"), ["outer.example"])


@case
def keep_touches_nothing_and_believes():
    is_(told(8085, 'Forwarded: for="x\r\n'), ['for="x'])
    is_(xff(8085), [])
    is_(get("/away", port=8085, headers="X-Forwarded-Proto: https\r\n").get("location"), "https://b.example/away")
    is_(get("/away", port=8081, headers="X-Forwarded-Proto: https\r\n").get("location"), "http://b.example/away")


@case
def a_proxy_header_comes_first():
    def through(source, headers):
        c = Client(8086)
        c.send(f"PROXY TCP4 {source} 127.0.0.1 1 8086\r\n")
        return xff(8086, headers, client=c)
    is_(through("198.51.100.7", "X-Forwarded-For: 9.9.9.9\r\n"), ["198.51.100.7"], "a client behind it is not trusted")
    is_(through("127.0.0.1", "X-Forwarded-For: 9.9.9.9\r\n"), ["9.9.9.9"])


@case
def hashes_go_by_the_client():
    def port(ip):
        host.forget()
        other.forget()
        get("/hash", port=8082, headers=f"X-Forwarded-For: {ip}\r\n")
        return 9001 if host.requests else 9002
    found = {ip: port(ip) for ip in (f"198.51.100.{i}" for i in range(16))}
    is_(set(found.values()), {9001, 9002})
    for ip, p in found.items():
        is_(port(ip), p)


run()
PY
LOG=$T/access.json PYTHONPATH=$SRC/test/lib python3 "$T/rig.py"
is "$(weft config check "$T/weft.yaml" > /dev/null && echo right)" right "the file passes the check"
sed 's/forwarded: both, trusted: .127.0.0.1., *//; s/xff: set, trusted/xff: replace, trusted/' "$T/weft.yaml" > "$T/wrong.yaml"
fails "a word that is none is refused" weft config check "$T/wrong.yaml"
like "$(cat "$T/ok.out")" 'wrong.yaml:[0-9]+: listeners\[[0-9]+\].xff: .*want keep, append or set' "with its place and what is allowed"
weftd_stop

# The page's own example.
block() { awk -v lang="$1" '$0 == "```" lang && !done { on = 1; next } /^```$/ && on { on = 0; done = 1 } on' "$SRC/docs/forwarded.md"; }
block yaml > "$T/weft.yaml"
weftd_start
block "" > "$T/lines"
LINES=$T/lines PYTHONPATH=$SRC/test/lib python3 - <<'PY'
import os
from http_rig import *

host = Host(9001)


@case
def the_example_of_the_page():
    lines = open(os.environ["LINES"]).read().splitlines()
    sent = "".join(x[2:] + "\r\n" for x in lines if x.startswith("> "))
    want = [x[2:] for x in lines if x.startswith("< ")]
    got = [f"{k}: {v}" for k, v in get(headers=sent).json()["headers"] if "forwarded" in k.lower()]
    is_(sorted(x.lower() for x in got), sorted(x.lower() for x in want))


run()
PY
weftd_stop
