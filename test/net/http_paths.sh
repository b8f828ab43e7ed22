#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A path has one form before a rule looks at it, and the host gets that form: nobody goes around a rule by spelling.
. "$(dirname "$0")/../lib/net.sh"

cat > "$T/weft.yaml" <<YAML
kernel: {mode: off}
listeners:
- {name: web, address: "127.0.0.1:8080", protocol: http, routes: [all]}
- {name: strict, address: "127.0.0.1:8081", protocol: http, routes: [all], mergeSlashes: true, escapedSlashes: reject}
routes:
- name: all
  rules:
  - {matches: [{path: {value: /admin}}], filters: [{type: DirectResponse, status: 403}]}
  - {matches: [{path: {type: Exact, value: /secure}}], filters: [{type: RequestRedirect, scheme: https}]}
  - backends: [{cluster: app}]
clusters: [{name: app, endpoints: [{address: "127.0.0.1:9001"}]}]
YAML
weftd_start
PYTHONPATH=$SRC/test/lib python3 - <<'PY'
from http_rig import *

host = Host(9001)


def seen(path, port=8080):
    r = get(path, port=port)
    return r.json()["path"] if r.status == 200 else r.status


@case
def a_rule_is_not_gone_around():
    for path in ("/admin", "/admin/", "/%61dmin", "/x/../admin", "/./admin/x", "/admin?x", "/x/%2e%2e/admin", "/x/.%2e/%61%64min"):
        is_(seen(path), 403, path)
    is_(seen("//admin", 8081), 403)
    is_(seen("/x//../admin", 8081), 403)


@case
def the_host_gets_the_form_that_was_routed():
    for path, want in (("/a/./b/../c", "/a/c"), ("/%7euser?q=%7e", "/~user?q=%7e"), ("/a%2fb", "/a%2Fb"), ("/a//b", "/a//b"),
                       ("/../../a", "/a"), ("/adminx", "/adminx"), ("/a;b=c", "/a;b=c")):
        is_(seen(path), want, path)
    is_(seen("/a//b", 8081), "/a/b")


@case
def what_has_no_form_is_refused():
    for path in ("/a%00", "/a%", "/a%zz", "/a\\b", "/a#b"):
        is_(seen(path), 400, path)
    for path in ("/a%2fb", "/a%5Cb"):
        is_(seen(path, 8081), 400, path)


@case
def a_redirect_keeps_the_host_and_takes_the_schemes_port():
    r = get("/secure?x=1")
    is_((r.status, r.get("location")), (302, "https://a.example/secure?x=1"))


run()
PY
weftd_stop
