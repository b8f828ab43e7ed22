#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The built-in filters, by the example of docs/filters.md: limits exact over workers and kept over a reload, faults by chance,
# in the caller's protocol; what is wrong is refused by file and line.
. "$(dirname "$0")/../lib/net.sh"
{
	awk '/^```yaml/ { on = 1; next } /^```/ { on = 0 } on' "$SRC/docs/filters.md"
	echo "kernel: {mode: off}"
	echo "workers: 4"
	echo "telemetry: {accessLog: [{path: $T/access.json, format: json}]}"
} > "$T/example.yaml"
cp "$T/example.yaml" "$T/weft.yaml"
weftd_start
export T
PYTHONPATH=$SRC/test/lib python3 - <<'PY'
from http_rig import *

host = Host(9001)


def adopted():
    return open(os.environ["T"] + "/weftd.log").read().count("adopted by 4 workers")


def reload(change):
    text, before = change(open(os.environ["T"] + "/example.yaml").read()), adopted()
    open(os.environ["T"] + "/weft.yaml.new", "w").write(text)
    os.rename(os.environ["T"] + "/weft.yaml.new", os.environ["T"] + "/weft.yaml")
    eventually(lambda: adopted() > before)


@case
def a_rules_limit_is_the_nodes_and_exact():
    clients = [Client() for _ in range(16)]
    got = [c.ask(f"/orders/{i}") for i, c in enumerate(clients)]
    is_(sorted(r.status for r in got), [200] * 2 + [429] * 14, "two of sixteen connections over four workers")
    r = next(r for r in got if r.status == 429)
    assert 1 <= int(r.get("retry-after")) <= 60, r.headers
    is_(r.body, b"more requests than the limit allows (RL)\n")
    line = logged(f"/orders/{[r.status for r in got].index(429)}")
    is_((line["flags"], line["detail"]), ("RL", "more requests than the limit allows"))
    eventually(lambda: metric("weft_filter_replies_total") == 14)
    is_(len(host.requests), 2)


@case
def a_bucket_stays_over_a_reload_of_something_else():
    c = Client()
    is_(c.ask("/orders/again").status, 429)
    reload(lambda t: t.replace("  - backends: [{cluster: app}]", "  - backends: [{cluster: app}]\n    timeouts: {request: 77s}"))
    is_(c.ask("/orders/again").status, 429)
    reload(lambda t: t.replace("requests: 2, per: 1m", "requests: 3, per: 1m"))
    is_([c.ask("/orders/new").status for _ in range(4)], [200, 200, 200, 429], "the same connection, another limit")
    reload(lambda t: t.replace("    - {type: local-rate-limit, requests: 2, per: 1m}\n", "").replace("    filters:\n    backends", "    backends"))
    is_([c.ask("/orders/free").status for _ in range(4)], [200] * 4)
    reload(lambda t: t)


@case
def faults_come():
    before = metric("weft_filter_waits_total")
    r = get("/flaky/1")
    is_((r.status, r.body), (503, b"abort injected (DI,FI)\n"))
    line = logged("/flaky/1")
    is_((line["flags"], line["detail"]), ("DI,FI", "abort injected"))
    assert line["ms_total"] >= 30, line
    eventually(lambda: metric("weft_filter_waits_total") == before + 1)
    assert "/flaky/1" not in host.paths()


@case
def half_of_them():
    reload(lambda t: t.replace("delay: {percent: 100, fixed: 30ms}, abort: {percent: 100, status: 503}", "abort: {percent: 50, status: 504}"))
    c = Client()
    got = [c.ask("/flaky/3").status for _ in range(90)]
    assert set(got) == {200, 504} and 18 < got.count(504) < 72, got


run()
PY
# The page's example of explain, word by word.
eval "$(sed -n 's/^\$ \(weft explain .*\)/\1/p' "$SRC/docs/filters.md")" > "$T/explained"
is "$(cat "$T/explained")" "$(sed -n '/^\$ weft explain/{n;p}' "$SRC/docs/filters.md")" "explain names the filters"
weftd_stop

# That of weft filters, after the requests that it names.
cp "$T/example.yaml" "$T/weft.yaml"
weftd_start
for path in orders orders orders ""; do curl -s -o /dev/null "http://127.0.0.1:8080/$path"; done
sed -n '/^\$ weft filters/,/^```/{/^\$/d;/^```/d;p}' "$SRC/docs/counters.md" > "$T/page"
[ -s "$T/page" ] || fail "the page has no example"
same() { weft filters > "$T/shown"; diff "$T/shown" "$T/page" > "$T/differs.log"; }
wait_for 60 same
weftd_stop

refused() {  # text in the place of the listener's filters, what is said
	sed "s|filters: \[{type: local-rate-limit, requests: 1000.*|filters: [$1]|" "$T/example.yaml" > "$T/bad.yaml"
	like "$(weft config check "$T/bad.yaml" 2>&1)" "bad.yaml:4: listeners\[0\]\.filters$2" "refused: $1"
}
refused "{type: limit}" '\[0\]\.type: want one of: local-rate-limit, Fault, RequestMirror; not limit'
refused "{type: local-rate-limit, requests: -1}" '\[0\]\.requests: '
refused "{type: local-rate-limit, burst: 3}" '\[0\]: burst: want requests beside it'
refused "{type: local-rate-limit, requests: 1, per: 1h, burst: 100}" '\[0\]: burst: at this rate'
refused "{type: Fault}, {type: Fault}" '\[1\]: Fault is given twice'
refused "{type: Fault, delay: {percent: 1}}" '\[0\]\.delay: fixed is missing'
sed 's/abort: {percent: 100, status: 503}//; s/delay: {percent: 100, fixed: 30ms}, //' "$T/example.yaml" > "$T/bad.yaml"
like "$(weft config check "$T/bad.yaml" 2>&1)" 'bad.yaml:15: routes\[0\]\.rules\[1\]\.filters\[0\]: want delay, abort or both' "refused: a fault without any"
