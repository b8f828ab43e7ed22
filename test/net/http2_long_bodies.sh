#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Requests with more of a body than is kept, to hosts that go away or refuse them in the middle: none is lost. More than that
# leaves only when the host has shown that it took the request, and whoever has a small window or said something is not asked.
. "$(dirname "$0")/../lib/net.sh"

PY=/usr/bin/python3                             # Debian's, whose package it is
$PY -c 'import hpack' 2> /dev/null || skip "python3-h2 is not installed"
command -v nginx > /dev/null || skip "nginx is not installed"

mkdir -p "$T/files/nginx" "$T/ng/tmp"
chmod 755 "$T"
cat > "$T/ng/nginx.conf" <<CONF
daemon off; user root; worker_processes 2; pid $T/ng/pid; error_log stderr warn;
events { worker_connections 2048; }
http {
	client_body_temp_path $T/ng/tmp; proxy_temp_path $T/ng/tmp; fastcgi_temp_path $T/ng/tmp;
	uwsgi_temp_path $T/ng/tmp; scgi_temp_path $T/ng/tmp; access_log off; keepalive_requests 7;
	server { listen 127.0.0.1:9004 http2; root $T/files; location / { dav_methods PUT; } }
}
CONF
write_file "$T/weft.yaml" <<YAML
workers: 2
kernel: {mode: off}
listeners: [{name: web, address: "127.0.0.1:8080", protocol: http, routes: [all]}]
routes:
- name: all
  rules:
  - {matches: [{path: {type: PathPrefix, value: /nginx}}], backends: [{cluster: away}]}
  - backends: [{cluster: app}]
clusters:
- {name: app, protocol: http2, endpoints: [{address: "127.0.0.1:9001"}]}
- {name: away, protocol: http2, endpoints: [{address: "127.0.0.1:9004"}]}
YAML
listens() { (exec 3<> "/dev/tcp/127.0.0.1/$1") 2> /dev/null; }
bg nginx.log nginx -p "$T/ng" -c "$T/ng/nginx.conf"
wait_for 60 listens 9004
weftd_start
cat > "$T/cases.py" <<'PY'
import random
from http2_rig import *

KEPT = 64 << 10                         # bytes of a body that can be sent again
app = Host2(9001)


def wide(c):
    c.send(settings(window=1 << 20) + window(0, 1 << 24))


def fresh(hello=wide, mute=False):
    app.on, app.hello, app.mute = {}, hello, mute
    app.start_over()


def body_of(n, seed=0):
    return random.Random(seed).randbytes(n)


class Upload:
    """In a thread; said() is its answer."""

    def __init__(self, client, path, body):
        self.thread = threading.Thread(target=self.run, args=(client, path, body), daemon=True)
        self.thread.start()

    def run(self, client, path, body):
        self.answer = client.ask(path, "POST", body=body)

    def said(self):
        self.thread.join(LIMIT)
        assert not self.thread.is_alive()
        return self.answer


def echo(c, r):
    c.reply(r, bytes(r.body))


def halted(path, body, n=KEPT):
    """Its first attempt, of whose body the host has n bytes, and gets no more; and the upload. The host's settings are known."""
    app.on[path] = echo
    client = Client()
    is_(client.ask("/first").status, 200)
    up = Upload(client, path, body)
    eventually(lambda: any(r.path == path and len(r.body) == n for r in app.requests))
    return next(r for r in app.requests if r.path == path), up


def in_two(do, body, first=KEPT):
    """The host does something when it has so much: the request is asked again whole, once."""
    r, up = halted("/x", body, first)
    do(r)
    assert up.said().body == body
    is_([len(x.body) for x in app.requests if x.path == "/x"], [first, len(body)])


def leave_out(r, before=b""):
    app.mute = False
    r.conn.send(before + goaway(r.stream - 2))


def silent(c):
    """A host that says nothing of what it takes."""
    wide(c)
    c.credit = False


@case
def a_goaway_in_the_middle_of_a_long_body():
    fresh(silent, mute=True)
    in_two(leave_out, body_of(300000))


@case
def a_goaway_behind_the_answer_that_came_before_it():
    """Hosts answer SETTINGS before they say what was waiting."""
    fresh(silent, mute=True)
    in_two(lambda r: leave_out(r, frame(SETTINGS, ACK)), body_of(300000))


@case
def a_long_body_that_is_refused():
    fresh(silent, mute=True)
    in_two(lambda r: (setattr(app, "mute", False), r.conn.send(frame(SETTINGS, ACK) + rst(r.stream, REFUSED))), body_of(1000000))


@case
def a_window_that_closed_before():
    """The host takes less than could be kept: what it took and what it did not are one body again."""
    fresh(lambda c: (setattr(c, "credit", False), c.send(settings(window=10000))))

    def leave(r):
        app.hello = wide
        leave_out(r)
    in_two(leave, body_of(200000), first=10000)


@case
def the_answer_to_settings_lets_the_rest_go():
    fresh(silent, mute=True)
    body = body_of(300000)
    r, up = halted("/x", body)
    is_(r.conn.settings, 2)
    r.conn.send(frame(SETTINGS, ACK))
    assert up.said().body == body
    is_((len(app.requests), r.conn.settings), (2, 2))


def lets_go(say):
    fresh(silent, mute=True)
    body = body_of(300000)
    r, up = halted("/x", body)
    say(r)
    assert up.said().body == body
    is_(sum(r.path == "/x" for r in app.requests), 1)


@case
def so_does_whatever_the_host_says_of_the_request():
    lets_go(lambda r: r.conn.send(window(r.stream, 1)))
    lets_go(lambda r: r.conn.head(r.stream, [(":status", "103")]))


@case
def and_the_answer_to_a_later_one():
    """Of the same worker, so on the same connection."""
    def ask_until(r):
        while not any(x.path == "/later" and x.conn is r.conn for x in app.requests):
            is_(get("/later").status, 200)
    lets_go(ask_until)


def settings_of(hello, body, times=1, mute=False):
    fresh(hello, mute)
    app.on["/x"] = echo
    for _ in range(times):
        assert get("/x", "POST", body=body).body == body
    return {c.settings for c in app.all}


@case
def who_need_not_be_asked_is_not():
    is_(settings_of(wide, body_of(KEPT), mute=True), {1})
    is_(settings_of(lambda c: c.send(settings()), body_of(1 << 20), mute=True), {1})
    fresh(wide, mute=True)
    app.on["/x"] = echo
    two = Client2()
    s = two.ask("/x", "POST", b"", end=False)
    eventually(lambda: app.requests)
    app.all[0].head(app.requests[0].stream, [(":status", "103")])
    eventually(lambda: two.answers[s].interim)
    two.data(s, body_of(1 << 20))
    assert two.answer(s).body == body_of(1 << 20)
    is_(app.all[0].settings, 1)


@case
def one_at_a_time_is_asked_for_many():
    fresh(silent, mute=True)
    app.on["/many"] = echo
    two = Client2(window=1 << 20)
    two.send(window(0, 1 << 24))
    bodies = [body_of(100000, i) for i in range(8)]
    streams = []
    asked = threading.Thread(target=lambda: streams.extend(two.ask("/many", "POST", b) for b in bodies), daemon=True)
    asked.start()
    eventually(lambda: app.requests and len(app.requests[0].body) == KEPT)
    c = app.all[0]
    eventually(lambda: c.settings == 2)
    app.mute = False
    c.send(frame(SETTINGS, ACK))
    asked.join(LIMIT)
    for s, b in zip(streams, bodies):
        assert two.answer(s).body == b
    assert 2 <= c.settings <= 10, c.settings
    is_(len(app.requests), len(bodies))


@case
def hosts_that_go_away_all_the_time():
    """Each connection ends in the middle of something: every body comes whole, and what was taken is not asked again."""
    fresh()
    done = []

    def leave(c, r):
        if len(c.requests) == 5:
            c.send(goaway(r.stream - 2))
    app.on["early /up"] = leave

    def up(c, r):
        c.reply(r, bytes(r.body))
    app.on["/up"] = up

    def client(k):
        c = Client()
        for i in range(10):
            body = body_of(60000 + 20000 * (i % 8), 100 * k + i)
            r = c.ask("/up", "POST", body=body)
            done.append(r.body == body or (len(body), r.status, r.body[:80]))
    threads = [threading.Thread(target=client, args=(k,), daemon=True) for k in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(LIMIT)
    is_([x for x in done if x is not True], [])
    assert app.conns > 5, app.conns


@case
def nginx_that_goes_away_all_the_time():
    bad = []

    def client(k):
        c = Client()
        for i in range(25):
            name, body = f"/nginx/{k}-{i}", body_of(200000, 1000 * k + i)
            r = c.ask(name, "PUT", body=body)
            if r.status != 201 or open(os.environ["T"] + "/files" + name, "rb").read() != body:
                bad.append((name, r.status, r.body[:80]))
    threads = [threading.Thread(target=client, args=(k,), daemon=True) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(LIMIT)
        assert not t.is_alive()
    assert not bad, (len(bad), bad[:3])
    eventually(lambda: metric("weft_http_multiplexed_goaways_total") > 20)


run(sys.argv[1:])
PY
PYTHONPATH=$SRC/test/lib T=$T $PY "$T/cases.py" "$@"

none_left() { [ "$(metric weft_http_active)" = 0 ]; }
wait_for 60 none_left
weftd_stop
