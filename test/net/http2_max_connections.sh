#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Fewer connections than workers, of a host that speaks HTTP/2: a worker whose streams follow each other without a pause lets
# the others have the place, and requests that wait meanwhile are served when it is theirs again; or have one beside it, when
# its streams do not end.
. "$(dirname "$0")/../lib/net.sh"

PY=/usr/bin/python3                             # Debian's, whose package it is
$PY -c 'import hpack' 2> /dev/null || skip "python3-h2 is not installed"
write_file "$T/weft.yaml" <<YAML
workers: 4
kernel: {mode: off}
listeners: [{name: web, address: "127.0.0.1:8080", protocol: http, routes: [all]}]
routes:
- name: all
  rules:
  - {matches: [{path: {type: PathPrefix, value: /one}}], backends: [{cluster: one}]}
  - backends: [{cluster: full}]
clusters:
- {name: one, protocol: http2, endpoints: [{address: "127.0.0.1:9001"}], connectionPool: {maxConnections: 1}}
- {name: full, protocol: http2, endpoints: [{address: "127.0.0.1:9002"}], connectionPool: {maxConnections: 1, http2MaxStreams: 2}}
YAML
weftd_start
cat > "$T/cases.py" <<'PY'
from http2_rig import *

one, full = Host2(9001), Host2(9002)


def served(c, path):
    """A machine that stands still may use up the second that a request waits: such a one is sent again."""
    for _ in range(5):
        r = c.get(path) if isinstance(c, Client2) else c.ask(path)
        if r.status == 200:
            return
        assert r.status == 503 and b"waited too long" in r.body, (r.status, r.body)
    raise AssertionError("503 five times")


def of_two_workers(host, path, client=Client):
    """Clients of different workers: each has a connection to the host that the other does not use."""
    a = client()
    served(a, path)
    while True:
        b = client()
        before = host.conns
        served(b, path)
        if host.conns > before:
            return a, b


class Busy:
    """Streams of one client, so of one worker, of which the host has one at any time, `width` mostly."""

    def __init__(self, host, path, width):
        self.client, self.host, self.path, self.over, self.width, self.n = Client2(8080), host, path, False, width, 0
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.began = threading.Event()

    def ask(self):
        came, go, path = threading.Event(), threading.Event(), f"{self.path}/{self.n}"
        self.n += 1
        self.host.on[path] = lambda c, r: (came.set(), self.began.set(), go.wait(LIMIT), c.reply(r, b"busy"))
        return self.client.ask(path), came, go

    def run(self):
        asked = [self.ask() for _ in range(self.width)]
        while not self.over:
            asked.append(self.ask())
            asked[1][1].wait(0.05)              # it is with the host; or waits, as the connection takes no more
            stream, _, go = asked.pop(0)
            go.set()
            self.client.answer(stream)
        for _, _, go in asked:
            go.set()


def others_are_served(host, path, width):
    a, b = of_two_workers(host, path)
    busy = Busy(host, path + "/busy", width)
    busy.thread.start()
    assert busy.began.wait(LIMIT)
    for _ in range(10):
        served(a, path)
        served(b, path)
    busy.over = True
    busy.thread.join(LIMIT)
    assert not busy.thread.is_alive()
    served(a, path)
    served(b, path)


@case
def a_worker_that_is_never_idle_lets_others_have_the_place():
    others_are_served(one, "/one", 3)


@case
def so_does_one_whose_connection_is_always_full():
    others_are_served(full, "/full", 2)


@case
def streams_that_last_keep_nobody_out():
    """Nor the worker that has them: what was to end for another one goes on when it does not end."""
    go, before = threading.Event(), metric("weft_cluster_over_limit_total")
    one.on["/one/long"] = lambda c, r: (go.wait(LIMIT), c.reply(r, b"long"))
    a, b = of_two_workers(one, "/one", lambda: Client2(8080))
    lasting = []
    for c in (a, b):
        one.forget()
        lasting.append((c, c.ask("/one/long")))
        eventually(lambda: any(r.path == "/one/long" for r in one.requests))
        for _ in range(5):
            served(b, "/one")
            served(a, "/one")
    assert 2 <= one.open <= 4, one.open
    eventually(lambda: metric("weft_cluster_over_limit_total") > before)
    go.set()
    is_([c.answer(s).body for c, s in lasting], [b"long"] * 2)
    served(a, "/one")
    served(b, "/one")


@case
def nor_does_one_that_the_host_lets_go():
    """Its stream lasts, and so does the connection: another has to be."""
    go = threading.Event()
    one.on["/one/long"] = lambda c, r: (go.wait(LIMIT), c.reply(r, b"long"))
    a = Client2(8080)
    served(a, "/one")
    one.forget()
    stream = a.ask("/one/long")
    eventually(lambda: any(r.path == "/one/long" for r in one.requests))
    r = next(r for r in one.requests if r.path == "/one/long")
    goaways = metric("weft_http_multiplexed_goaways_total")
    r.conn.send(goaway(r.stream))
    eventually(lambda: metric("weft_http_multiplexed_goaways_total") > goaways)
    for _ in range(3):
        served(a, "/one")
    go.set()
    is_(a.answer(stream).body, b"long")
    served(a, "/one")


run(sys.argv[1:])
PY
PYTHONPATH=$SRC/test/lib T=$T $PY "$T/cases.py" "$@"

none_left() { [ "$(metric weft_http_active)" = 0 ]; }
wait_for 60 none_left
weftd_stop
