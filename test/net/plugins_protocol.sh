#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The private protocol of docs/extending.md as a plugin, with a real host and callers, on three workers: routed, retried, timed
# out, with its settings; what is wrong with those is said with file and line, and a proxy that was killed has them again.
. "$(dirname "$0")/../lib/net.sh"
. "$SRC/test/lib/plugins.sh"

page_block c memo.c > "$T/memo.c"
plugin_build "$T/memo.c"
conf() {  # settings of the listener
	cat > "$T/next.yaml" <<-YAML
	workers: 3
	kernel: {mode: off}
	plugins: [{path: $PLUGINS/memo.so}]
	listeners:
	- name: memos
	  address: "127.0.0.1:7000"
	  protocol: memo
	  protocolSettings: $1
	  routes: [{rules: [
	    {matches: [{service: {value: slow}}], timeouts: {request: 300ms}, backends: [{cluster: orders}]},
	    {matches: [{service: {value: orders}}], timeouts: {request: 60s}, backends: [{cluster: orders}],
	     retry: {attempts: 1, on: [gateway-error], backoff: 1ms, budget: {percent: 100, minPerSecond: 10000}}},
	    {matches: [{service: {value: dead}}], backends: [{cluster: dead}]}]}]
	clusters:
	- {name: orders, protocol: memo, endpoints: [{address: "127.0.0.1:7001"}, {address: "127.0.0.1:7002"}],
	   outlierDetection: {consecutive5xx: 0}, connectionPool: {maxRetries: 0}}
	- {name: dead, endpoints: [{address: "127.0.0.1:7009"}]}
	YAML
	mv "$T/next.yaml" "$T/weft.yaml"
}
conf '{nobody: 7, much: 3}'
fails "settings that it does not know" weft config check "$T/weft.yaml"
like "$(cat "$T/ok.out")" "^$T/weft.yaml:8: listeners\[0\].protocolSettings.much: no such field, want one of: nobody" "are refused at their line"
conf '{nobody: 256}'
fails "and one out of range" weft config check "$T/weft.yaml"
like "$(cat "$T/ok.out")" "^$T/weft.yaml:8: listeners\[0\].protocolSettings.nobody: 256 is out of range" "as well"
conf '{nobody: 7}'
weftd_start
like "$(admin /snapshot)" '"protocol_settings":"{\\"nobody\\":7}"' "settings are in the snapshot"
like "$(admin /listeners)" '"protocolSettings":\{"nobody":7\}' "those in force are shown with the listener"

cat > "$T/calls.py" <<'PY'
"""calls.py STATUS: of a call that no route takes."""
import sys
from http_rig import *

HEAD = struct.Struct("!cBBBII")
NOBODY = int(sys.argv[1])


def frame(kind, status, id, service, body):
    return HEAD.pack(b"m", kind, status, len(service), id, len(body)) + service.encode() + body


def read(f):
    magic, kind, status, n, id, body = HEAD.unpack(f.read(HEAD.size))
    return kind, status, id, f.read(n).decode(), f.read(body)


class Memo:
    """A host: refuses what says "refuse" where refusing is set, and answers calls out of order, with their own bodies."""

    def __init__(self, port, refusing=False):
        self.calls, self.refusing = [], refusing
        self.listener = socket.create_server(("127.0.0.1", port), backlog=128)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            s, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        f, late = s.makefile("rb"), []
        try:
            while f.peek(1):
                _, _, id, service, body = read(f)
                self.calls.append(body)
                if body == b"sleep":
                    continue
                a = frame(2, 2, id, "", b"no") if self.refusing and body == b"refuse" else frame(2, 0, id, "", body)
                if body.startswith(b"late") and not late:
                    late.append(a)
                    continue
                s.sendall(a + b"".join(late))
                late.clear()
        except (OSError, struct.error):
            pass


hosts = [Memo(7001, refusing=True), Memo(7002)]


def calls(n, service, body, each=1):
    """n connections, `each` calls in flight on each; bodies of the answers by status."""
    got = []

    def one(k):
        s = socket.create_connection(("127.0.0.1", 7000), timeout=LIMIT)
        f = s.makefile("rb")
        s.sendall(b"".join(frame(1, 0, i, service, body(k, i)) for i in range(each)))
        for _ in range(each):
            _, status, id, _, text = read(f)
            got.append((status, text == body(k, id)))
        s.close()

    threads = [threading.Thread(target=one, args=(k,)) for k in range(n)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    return got


@case
def many_in_flight_keep_their_answers():
    def body(k, i):
        return b"%s %d %d " % (b"late" if i == 3 else b"call", k, i) + b"x" * (i * 37 % 5000)
    got = calls(24, "orders", body, 50)
    assert got == [(0, True)] * (24 * 50), [g for g in got if g != (0, True)][:5]


@case
def refusals_are_tried_again_at_the_other_host():
    before = len(hosts[1].calls)
    got = calls(12, "orders", lambda k, i: b"refuse", 5)
    assert got == [(0, True)] * 60, got
    assert len(hosts[1].calls) - before == 60     # each ended there


@case
def long_bodies_pass():
    big = os.urandom(300 << 10)
    assert calls(4, "orders", lambda k, i: big, 3) == [(0, True)] * 12


@case
def what_has_no_answer_is_timed_out():
    assert calls(2, "slow", lambda k, i: b"sleep") == [(3, False)] * 2


@case
def weft_answers_in_its_words():
    # Settings are a connection's, as they were when it began: new ones have new ones once each worker has the snapshot.
    until = time.monotonic() + LIMIT
    while calls(6, "nobody", lambda k, i: b"x") != [(NOBODY, False)] * 6:
        assert time.monotonic() < until
    assert calls(2, "dead", lambda k, i: b"x") == [(2, False)] * 2


@case
def another_protocol_is_refused():
    s = socket.create_connection(("127.0.0.1", 7000), timeout=LIMIT)
    s.sendall(b"GET / HTTP/1.1\r\n\r\n")
    try:
        assert s.recv(100) == b""
    except ConnectionResetError:
        pass


run()
PY
calls() { PYTHONPATH=$SRC/test/lib python3 "$T/calls.py" "$1"; }
calls 7
conf '{nobody: 9}'
weft reload > /dev/null
calls 9
first=$(admin /ready | sed -n 's/.*process \([0-9]*\), 3 workers.*/\1/p')
another() { local now; now=$(admin /ready | sed -n 's/.*process \([0-9]*\), 3 workers.*/\1/p'); [ -n "$now" ] && [ "$now" != "$first" ] && weftd_ready; }
kill -KILL "$first"
wait_for 60 another
calls 9
weftd_stop
