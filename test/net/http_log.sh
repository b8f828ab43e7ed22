#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The access log in both formats: a line for each request, with its reason, its times and its way.
. "$(dirname "$0")/../lib/net.sh"

cat > "$T/weft.yaml" <<YAML
workers: 2
kernel: {mode: off}
telemetry: {accessLog: [{path: $T/access.json, format: json}, {path: $T/access.txt}]}
listeners:
- {name: web, address: "127.0.0.1:8080", protocol: http, routes: [all]}
routes:
- name: all
  rules:
  - {matches: [{path: {value: /dead}}], backends: [{cluster: dead}]}
  - {matches: [{path: {value: /slow}}], timeouts: {request: 200ms}, backends: [{cluster: app}]}
  - {matches: [{path: {value: /app}}], backends: [{cluster: app}]}
clusters:
- {name: app, endpoints: [{address: "127.0.0.1:9001"}]}
- {name: dead, endpoints: [{address: "127.0.0.1:9"}]}
YAML
weftd_start
LOG=$T/access.json PYTHONPATH=$SRC/test/lib python3 - <<'PY'
import os
from http_rig import *

host = Host(9001)


def lines():
    return [json.loads(x) for x in open(os.environ["LOG"])]


def line_of(path):
    eventually(lambda: any(x["path"] == path for x in lines()))
    return next(x for x in lines() if x["path"] == path)


@case
def a_good_request():
    # A host that takes its time, which the line says.
    host.on["/app/a"] = lambda c, r: time.sleep(0.05) or answer(c, r, b"x" * 100)
    get("/app/a", "POST", 'User-Agent: me "quoted" \\\r\ntraceparent: 00-1-2-01\r\n', b"12345")
    x = line_of("/app/a")
    is_((x["method"], x["status"], x["flags"], x["termination"], x["detail"]), ("POST", 200, "-", "--", ""))
    is_((x["bytes_in"], x["bytes_out"], x["tries"]), (5, 100, 1))
    is_((x["listener"], x["route"], x["cluster"], x["host"]), ("web", "all", "app", "127.0.0.1:9001"))
    is_((x["authority"], x["user_agent"], x["traceparent"]), ("a.example", 'me "quoted" \\', "00-1-2-01"))
    assert x["client"].startswith("127.0.0.1:") and len(x["request_id"]) == 36
    assert x["ms_answer"] >= 45 and x["ms_total"] >= x["ms_answer"], x


@case
def reasons():
    get("/nowhere")
    get("/dead")
    host.on["/slow"] = stall
    get("/slow")
    for path, want in (("/nowhere", (404, "NR", "PQ")), ("/dead", (503, "UF", "SC")), ("/slow", (504, "DT", "sH"))):
        x = line_of(path)
        is_((x["status"], x["flags"], x["termination"]), want, path)
        assert x["detail"]


@case
def a_client_that_left():
    host.on["/app/left"] = lambda c, r: c.closed() and "close"
    c = Client()
    c.send("GET /app/left HTTP/1.1\r\nHost: a\r\n\r\n")
    eventually(lambda: "/app/left" in host.paths())
    c.close()
    x = line_of("/app/left")
    is_((x["status"], x["flags"], x["termination"]), (0, "DC", "CH"))


@case
def as_many_lines_as_requests():
    before = len(lines())
    def many():
        c = Client()
        for _ in range(500):
            c.ask("/app/many")
    ts = [threading.Thread(target=many) for _ in range(8)]
    for t in ts:
        t.start()
    for t in ts:
        t.join()
    eventually(lambda: len(lines()) == before + 4000)


run()
PY
is "$(wc -l < "$T/access.txt")" "$(wc -l < "$T/access.json")" "both formats have every line"
like "$(grep '"/app/a"' "$T/access.txt")" '^"20[0-9-]+T[0-9:.]+Z" "POST" "/app/a" "a.example" "http1" 200 "-" "--" "" 5 100 [0-9. ]+ "web" "all" "app"' "a line of text"
is "$(stat -c %a "$T/access.json")" 640 "nobody else reads it"

# Rotation, and another configuration: SIGHUP and weft reload open the files anew.
mv "$T/access.json" "$T/access.json.1"
old=$(wc -l < "$T/access.json.1")
kill -HUP "$WEFTD_PID"
wait_for 10 test -f "$T/access.json"
ask() { curl -s -o /dev/null "http://127.0.0.1:8080$1"; }
ask /rotated
wait_for 10 grep -q /rotated "$T/access.json"
is "$(wc -l < "$T/access.json.1")" "$old" "a file that was moved away gets no more lines"
sed -i '/^telemetry/d' "$T/weft.yaml"
weft reload > "$T/out"
tries=0
hushed() { tries=$((tries + 1)); ask "/hush$tries"; pause 0.2; ! grep -q "/hush$tries" "$T/access.json"; }
wait_for 10 hushed
ask /silent
sed -i "1i telemetry: {accessLog: [{path: $T/again.txt}]}" "$T/weft.yaml"
weft reload > "$T/out"
# Lines come in their order: what was asked before is there by then.
again() { ask /again; grep -q /again "$T/again.txt"; }
wait_for 10 again
fails "without accessLog no line is written" grep -q /silent "$T/access.json" "$T/access.txt" "$T/again.txt"
fails "nor to a file that is not named any more" grep -q /again "$T/access.json" "$T/access.txt"
weftd_stop
