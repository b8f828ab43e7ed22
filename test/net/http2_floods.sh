#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Clients that flood: each is stopped with GOAWAY ENHANCE_YOUR_CALM, counted and told of, while others are served.
. "$(dirname "$0")/../lib/net.sh"

cat > "$T/weft.yaml" <<YAML
workers: 1
kernel: {mode: off}
listeners:
- {name: web, address: "127.0.0.1:8080", protocol: http, routes: [all]}
routes:
- name: all
  rules: [{backends: [{cluster: app}]}]
clusters:
- {name: app, endpoints: [{address: "127.0.0.1:9001"}]}
YAML
weftd_start
cat > "$T/cases.py" <<'PY'
from http2_raw import *

host = Host(9001)


class Flooder(Frames):
    """Sends, and reads only when it is refused."""

    def end(self):
        """The code of the GOAWAY that ends the connection; the proxy closes behind it."""
        code = None
        try:
            while True:
                kind, _, _, payload = self.frame()
                if kind == GOAWAY:
                    code = int.from_bytes(payload[4:8], "big")
        except (EOFError, ConnectionResetError):
            return code


# By time and not by frames: buffers hold many, and what comes behind the end is read and dropped for a while.
def flood(make, batch=50, reads=True):
    f = Flooder()
    if reads:
        f.thread = threading.Thread(target=lambda: setattr(f, "code", f.end()), daemon=True)
        f.thread.start()
    sent, until = 0, time.monotonic() + LIMIT
    try:
        while time.monotonic() < until:
            f.send(b"".join(make(sent + i) for i in range(batch)))
            sent += batch
            if reads and not f.thread.is_alive():
                break
    except (BrokenPipeError, ConnectionResetError):
        pass
    assert time.monotonic() < until, "never stopped"
    if reads:
        f.thread.join(LIMIT)
        assert f.code in (11, None), f.code
    f.close()
    is_(get("/after").status, 200)


@case
def whoever_goes_on_when_told_to_stop_is_cut_off():
    """Before the second is over in which others may: what buffers hold and a little more is all that he could send."""
    f, batch, most = Frames(), frame(PING, 0, 0, b"12345678") * 4000, 64 << 20
    try:
        while most > 0:
            f.send(batch)
            most -= len(batch)
    except (BrokenPipeError, ConnectionResetError):
        pass
    assert most > 0, "all was taken"
    f.close()


@case
def rapid_resets():
    flood(lambda i: ask(2 * i + 1) + frame(RST, 0, 2 * i + 1, b"\0\0\0\x08"))


@case
def resets_that_the_client_provokes():
    flood(lambda i: ask(2 * i + 1, flags=4) + frame(WINDOW, 0, 2 * i + 1, b"\x7f\xff\xff\xff"))


@case
def malformed_requests():
    flood(lambda i: ask(2 * i + 1, **{"Upper": "x"}))


@case
def pings():
    flood(lambda i: frame(PING, 0, 0, b"12345678"))


@case
def pings_whose_answers_are_not_read():
    flood(lambda i: frame(PING, 0, 0, b"12345678"), reads=False, batch=5000)


@case
def settings():
    flood(lambda i: frame(SETTINGS, 0, 0))


@case
def priorities():
    flood(lambda i: frame(PRIORITY, 0, 2 * i + 1, b"\0\0\0\0\x01"))


@case
def empty_frames_of_data():
    flood(lambda i: (ask(1, flags=4) if not i else b"") + frame(DATA, 0, 1))


@case
def window_updates():
    flood(lambda i: frame(WINDOW, 0, 0, b"\0\0\0\x01"))


@case
def continuations_of_one_head():
    flood(lambda i: ask(1, flags=1) if not i else frame(CONTINUATION, 0, 1))


@case
def frames_that_nobody_knows():
    flood(lambda i: frame(0x77, 0, 0, b"x"))


@case
def heads_of_several_times_their_limit():
    refs = b"\xbe" * 15000
    big = b"".join(field(*f) for f in {":method": "GET", ":scheme": "http", ":path": "/", ":authority": "a"}.items())
    once = big + b"\x40\x01z\x7f\xa1\x1e" + b"x" * 4000
    flood(lambda i: frame(HEADERS, 5, 2 * i + 1, once if not i else big + refs), batch=2)


@case
def headers_without_a_name():
    flood(lambda i: ask(2 * i + 1, **{"": "x"}))


@case
def crumbs_of_cookies():
    head = ask(1)[9:] + field("cookie", "a=b") * 110
    flood(lambda i: frame(HEADERS, 5, 2 * i + 1, head))


@case
def heads_over_their_limit():
    head = ask(1, **{f"x{n}": "y" for n in range(110)})[9:]
    flood(lambda i: frame(HEADERS, 5, 2 * i + 1, head))


@case
def windows_that_open_and_close():
    flood(lambda i: frame(SETTINGS, 0, 0, b"\0\4" + (i % 2 << 16).to_bytes(4, "big")))


@case
def every_request_of_a_flood_is_cancelled_at_the_host():
    started = threading.Semaphore(0)

    def stay(c, r):
        started.release()
        c.rest()
        return "close"
    host.on["/stay"] = stay
    f = Flooder()
    before = host.conns
    for i in range(0, 90, 10):
        f.send(b"".join(ask(2 * n + 1, "/stay") for n in range(i, i + 10)))
        for _ in range(10):
            assert started.acquire(timeout=LIMIT)
        f.send(b"".join(frame(RST, 0, 2 * n + 1, b"\0\0\0\x08") for n in range(i, i + 10)))
    eventually(lambda: host.open <= 1)
    is_(host.conns - before <= 90, True, f"{host.conns - before} connections for 90 requests")
    is_(len([r for r in host.requests if r.path == "/stay"]), 90)
    f.close()
    host.forget()


@case
def windows_of_one_byte():
    f = Flooder()
    f.send(frame(SETTINGS, 0, 0, b"\0\x04\0\0\0\x01") + ask(1))
    is_(len(f.until_frame(DATA)[3]), 1)
    f.close()


@case
def a_cancelled_request_is_cancelled_at_the_host():
    came, gone = threading.Event(), threading.Event()

    def stay(c, r):
        came.set()
        c.sock.settimeout(LIMIT)
        try:
            if not c.fill():
                gone.set()
        except OSError:
            gone.set()
        return "close"
    host.on["/stay"] = stay
    f = Flooder()
    f.send(ask(1, "/stay"))
    assert came.wait(LIMIT)
    f.send(frame(RST, 0, 1, b"\0\0\0\x08"))
    assert gone.wait(LIMIT)
    f.close()


@case
def more_streams_than_allowed_are_refused():
    def stay(c, r):
        c.rest()
        return "close"
    host.on["/stay"] = stay
    f = Flooder()
    f.send(b"".join(ask(2 * i + 1, "/stay") for i in range(101)))
    _, _, stream, code = f.until_frame(RST)
    is_((stream, code), (201, b"\0\0\0\x07"))
    f.close()


run(sys.argv[1:])
PY
PYTHONPATH=$SRC/test/lib python3 "$T/cases.py"

counted() { [ "$(metric weft_http_malformed_abuse_total)" -ge 10 ]; }
wait_for 60 counted
grep -q "web: client 127.0.0.1:[0-9]*: flood of frames or resets" "$T/weftd.log" || fail "the log tells of it"
none_left() { [ "$(metric weft_http_active)" = 0 ]; }
wait_for 60 none_left
weftd_stop
