#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Routes as requests meet them: which rule takes one, in which shares its backends get them, what filters make of both heads.
. "$(dirname "$0")/../lib/net.sh"
rule() {  # NAME MATCH: answers are told by which rule they came
	echo "  - {matches: [$2], filters: [{type: ResponseHeaderModifier, set: [{name: x-rule, value: $1}]}], backends: [{cluster: app}]}"
}
{
	cat <<-YAML
	workers: 1
	kernel: {mode: off}
	listeners:
	- {name: web, address: "127.0.0.1:8080", protocol: http, routes: [all, wild, named, port]}
	clusters:
	- {name: app, endpoints: [{address: "127.0.0.1:9001"}]}
	- {name: other, endpoints: [{address: "127.0.0.1:9002"}]}
	- name: parts
	  endpoints: [{address: "127.0.0.1:9001", metadata: {version: v1}}, {address: "127.0.0.1:9002", metadata: {version: v2}}]
	  subsets: {keys: [[version]], fallback: none}
	- name: loose
	  loadBalancer: round-robin
	  endpoints: [{address: "127.0.0.1:9001", metadata: {version: v1}}, {address: "127.0.0.1:9002", metadata: {version: v2}}]
	  subsets: {keys: [[version]], fallback: any}
	routes:
	- name: wild
	  hosts: ["*.example"]
	  rules:
	$(rule wild '{path: {value: /}}')
	- name: named
	  hosts: [a.example]
	  rules:
	$(rule named '{path: {value: /}}')
	- name: port
	  hosts: ["a.example:81"]
	  rules:
	$(rule port '{path: {value: /}}')
	- name: all
	  rules:
	  - {matches: [{path: {value: /w}}], backends: [{cluster: app, weight: 3}, {cluster: other, weight: 1}]}
	  - {matches: [{path: {value: /v1}}], backends: [{cluster: parts, subset: {version: v1}}]}
	  - {matches: [{path: {value: /v2}}], backends: [{cluster: parts, subset: {version: v2}}]}
	  - {matches: [{path: {value: /v9}}], backends: [{cluster: parts, subset: {version: v9}}]}
	  - {matches: [{path: {value: /any9}}], backends: [{cluster: loose, subset: {version: v9}}]}
	  - matches: [{path: {value: /heads}}]
	    filters:
	    - {type: RequestHeaderModifier, set: [{name: x-set, value: new}], add: [{name: x-add, value: more}], remove: [x-gone]}
	    - {type: ResponseHeaderModifier, set: [{name: x-set, value: back}], add: [{name: x-add, value: more}], remove: [x-gone]}
	    backends: [{cluster: app}]
	  - matches: [{path: {value: /old}}]
	    filters: [{type: URLRewrite, hostname: inner.local, path: {type: ReplacePrefixMatch, value: /new}}]
	    backends: [{cluster: app}]
	  - matches: [{path: {value: /full}}]
	    filters: [{type: URLRewrite, path: {type: ReplaceFullPath, value: /one}}]
	    backends: [{cluster: app}]
	  - matches: [{path: {value: /regex}}]
	    filters: [{type: URLRewrite, path: {type: ReplaceRegularExpression, pattern: "/regex/([a-z]+)/([0-9]+)", value: "/\$2/\$1"}}]
	    backends: [{cluster: app}]
	$(rule rest '{path: {value: /}}')
	$(rule prefix '{path: {value: /p}}')
	$(rule longer '{path: {value: /p/long}}')
	$(rule exact '{path: {type: Exact, value: /p}}')
	$(rule regex '{path: {type: RegularExpression, value: "/r/[0-9]+"}}')
	$(rule plain '{path: {value: /m}}')
	$(rule query '{path: {value: /m}, queryParams: [{name: q, value: "1"}]}')
	$(rule header '{path: {value: /m}, headers: [{name: x-a, value: one}]}')
	$(rule headers '{path: {value: /m}, headers: [{name: x-a, value: one}, {name: x-b, value: two}]}')
	$(rule method '{path: {value: /m}, method: PUT}')
	$(rule hexact '{path: {value: /h}, headers: [{name: x-v, value: same}]}')
	$(rule hregex '{path: {value: /h}, headers: [{name: x-v, type: RegularExpression, value: "r[0-9]+"}]}')
	$(rule hprefix '{path: {value: /h}, headers: [{name: x-v, type: Prefix, value: "pre-"}]}')
	$(rule hsuffix '{path: {value: /h}, headers: [{name: x-v, type: Suffix, value: "-suf"}]}')
	$(rule hcontains '{path: {value: /h}, headers: [{name: x-v, type: Contains, value: "=in="}]}')
	$(rule hrange '{path: {value: /h}, headers: [{name: x-v, type: Range, low: -5, high: 10}]}')
	$(rule hpresent '{path: {value: /there}, headers: [{name: x-v, type: Present}]}')
	$(rule habsent '{path: {value: /there}, headers: [{name: x-v, type: Absent}]}')
	$(rule cookie '{path: {value: /c}, cookies: [{name: group, value: canary}]}')
	$(rule either '{path: {type: Exact, value: /e1}}, {path: {type: Exact, value: /e2}}')
	YAML
} > "$T/weft.yaml"
weftd_start
PYTHONPATH=$SRC/test/lib python3 - <<'PY'
from http_rig import *


class Named(dict):
    def __init__(self, name):
        self.name = name

    def get(self, path, default=None):
        if path.startswith("early "):
            return None
        return lambda c, r: answer(c, r, headers=f"X-Host: {self.name}\r\nX-Set: old\r\nX-Set: older\r\nX-Add: own\r\nX-Gone: 1\r\n")


for port, name in ((9001, "one"), (9002, "two")):
    Host(port).on = Named(name)
c = Client()


def rule(path, method="GET", headers="", host="x"):
    r = c.ask(path, method, headers, host=host)
    is_(r.status, 200, path)
    return r.get("x-rule")


def values(headers, name):
    return [v for k, v in headers if k.lower() == name]


@case
def the_nearest_host_goes_first():
    for host, want in (("a.example", "named"), ("b.example", "wild"), ("b.c.example", "wild"), ("example", "rest"), ("A.Example", "named"),
                       ("a.example:81", "port"), ("a.example:82", "named"), ("aexample", "rest")):
        is_(rule("/", host=host), want, host)


@case
def then_the_path():
    for path, want in (("/p", "exact"), ("/p?x", "exact"), ("/p/", "prefix"), ("/p/x", "prefix"), ("/px", "rest"), ("/p/long", "longer"),
                       ("/p/long/x", "longer"), ("/p/longer", "prefix"), ("/r/12", "regex"), ("/r/12x", "rest"), ("/r/", "rest"),
                       ("/e1", "either"), ("/e2", "either"), ("/e3", "rest"), ("/%70", "exact"), ("/x/../p", "exact")):
        is_(rule(path), want, path)


@case
def then_method_headers_query():
    a, ab = "X-A: one\r\n", "X-A: one\r\nX-B: two\r\n"
    for how, want in ((("/m", "GET", ""), "plain"), (("/m?q=1", "GET", ""), "query"), (("/m?q=2", "GET", ""), "plain"),
                      (("/m?q=1", "GET", a), "header"), (("/m?q=1", "GET", ab), "headers"), (("/m", "PUT", ab), "method"),
                      (("/m", "GET", "X-A: two\r\n"), "plain"), (("/m?a=b&q=1", "GET", ""), "query")):
        is_(rule(*how), want, how)


@case
def each_way_to_compare():
    for value, want in (("same", "hexact"), ("Same", "rest"), ("r7", "hregex"), ("r7x", "rest"), ("pre-x", "hprefix"), ("x-suf", "hsuffix"),
                        ("a=in=b", "hcontains"), ("-5", "hrange"), ("9", "hrange"), ("10", "rest"), ("-6", "rest"), ("9x", "rest")):
        is_(rule("/h", headers=f"X-V: {value}\r\n"), want, value)
    is_([rule("/there", headers="X-V: 1\r\n"), rule("/there")], ["hpresent", "habsent"])
    is_([rule("/c", headers=f"Cookie: {x}\r\n") for x in ("group=canary", "a=b; group=canary", "group=canaryx", "xgroup=canary")],
        ["cookie", "cookie", "rest", "rest"])


@case
def shares_are_exact_and_spread():
    got = [c.ask("/w", host="x").get("x-host") for _ in range(40)]
    for i in range(0, 40, 4):
        is_(sorted(got[i:i + 4]), ["one"] * 3 + ["two"], i)


@case
def subsets_and_what_falls_back():
    is_({c.ask("/v1", host="x").get("x-host") for _ in range(10)}, {"one"})
    is_({c.ask("/v2", host="x").get("x-host") for _ in range(10)}, {"two"})
    r = c.ask("/v9", host="x")
    is_((r.status, b"UH" in r.body), (503, True))
    is_({c.ask("/any9", host="x").get("x-host") for _ in range(4)}, {"one", "two"})


@case
def heads_are_changed():
    r = c.ask("/heads", headers="X-Set: a\r\nx-set: b\r\nX-Add: mine\r\nX-GONE: 1\r\nX-Stay: 1\r\n", host="x")
    got = r.json()["headers"]
    is_([values(got, n) for n in ("x-set", "x-add", "x-gone", "x-stay")], [["new"], ["mine", "more"], [], ["1"]])
    is_([values(r.headers, n) for n in ("x-set", "x-add", "x-gone", "x-host")], [["back"], ["own", "more"], [], ["one"]])


@case
def paths_are_rewritten():
    for path, want, host in (("/old", "/new", "inner.local"), ("/old/x?y=1", "/new/x?y=1", "inner.local"), ("/full/x?y=1", "/one?y=1", "x"),
                             ("/regex/ab/12?y", "/12/ab?y", "x"), ("/regex/AB", "/regex/AB", "x")):
        got = c.ask(path, host="x").json()
        is_((got["path"], values(got["headers"], "host")), (want, [host]), path)


run()
PY
weftd_stop
