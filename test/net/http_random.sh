#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Clients and hosts of HTTP/1.1 and HTTP/2 that do anything at any time, by a seed: streams that are reset, bodies that stop, windows that stay
# shut, hosts that say GOAWAY or REFUSED_STREAM, die in an answer, answer before the request has ended. Whatever else happens, an answer that
# is whole is the right one, no host sees a POST twice that it took, every request ends, and at the end nothing is left.
# SEEDS: those to run, STEPS: of each client.
. "$(dirname "$0")/../lib/net.sh"

PY=/usr/bin/python3                             # Debian's, whose package it is
$PY -c 'import hpack' 2> /dev/null || skip "python3-h2 is not installed"

cat > "$T/weft.yaml" <<YAML
workers: 3
kernel: {mode: off}
listeners:
- {name: web, address: "127.0.0.1:8080", protocol: http, routes: [all], timeouts: {head: 2s, idle: 2s}}
- {name: short, address: "127.0.0.1:8081", protocol: http, routes: [all], timeouts: {head: 2s, idle: 2s, connectionAge: 300ms, connectionGrace: 5s}}
routes:
- name: all
  rules:
  - {matches: [{path: {value: /1}}], backends: [{cluster: one}], timeouts: {request: 700ms}}
  - {matches: [{path: {value: /2}}], backends: [{cluster: two}], timeouts: {request: 700ms}}
  - {matches: [{path: {value: /few}}], filters: [{type: URLRewrite, path: {type: ReplacePrefixMatch, value: /2}}], backends: [{cluster: few}], timeouts: {request: 700ms}}
clusters:
- {name: one, loadBalancer: random, panicThreshold: 0, endpoints: [{address: "127.0.0.1:9001"}, {address: "127.0.0.1:9002"}]}
- {name: two, protocol: http2, loadBalancer: random, endpoints: [{address: "127.0.0.1:9003"}, {address: "127.0.0.1:9004"}], connectionPool: {pingInterval: 300ms, pingTimeout: 2s}}
- {name: few, protocol: http2, endpoints: [{address: "127.0.0.1:9003"}], connectionPool: {maxConnections: 2, maxPending: 8, maxRequests: 30, maxRequestsPerConnection: 20, http2MaxStreams: 5}}
telemetry: {accessLog: [{path: $T/access.log, format: json}]}
YAML

cat > "$T/random_http.py" <<'PY'
import collections
import random
import zlib
from http2_rig import *

SEED, STEPS = int(sys.argv[1]), int(sys.argv[2])
SIZES = (0, 0, 1, 100, 5000, 16384, 65535, 65536, 70000, 300000)
counts = collections.Counter()
taken = collections.Counter()       # tag: how often a host took a POST for good
wrong = []


def content(tag, n):
    return (f"{tag}:{zlib.crc32(str(tag).encode()):08x}|".encode() * (n // 12 + 1))[:n]


def field(r, name):
    v = r.get(name)
    return v[0] if v else ""


def came(r):
    """A whole request at a host is what its client sent."""
    tag, size = field(r, "x-tag"), int(field(r, "x-size") or 0)
    if r.body != content(tag, size):
        wrong.append(f"{r.path}: a host got {len(r.body)} bytes of {size} of {tag}: {bytes(r.body[:60])!r}")
    if r.method == "POST":
        taken[tag] += 1
    return random.Random(tag), content("answer" + tag, int(field(r, "x-back") or 0))


# ---- hosts of HTTP/1.1 -----------------------------------------------------------------------------------------------

def head1(body, more="", status="200 OK"):
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode()


def chunked(r, body):
    out = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-end\r\n\r\n"]
    at = 0
    while at < len(body):
        n = r.choice((1, 10, 1000, 20000))
        part = body[at:at + n]
        out.append(b"%x\r\n%s\r\n" % (len(part), part))
        at += n
    return out + [b"0\r\nx-end: 1\r\n\r\n"]


def does1(fn):
    def on(c, r):
        rand, body = came(r)
        return fn(c, rand, body)
    return on


def late1(c, r, body):
    time.sleep(r.choice((0.01, 0.05, 0.3)))
    c.send(head1(body) + body)


def cut1(c, r, body):
    whole = head1(body) + body
    c.send(whole[:r.randrange(len(whole))])
    return "close"


def reset1(c, r, body):
    cut1(c, r, body)
    c.reset()
    return "close"


def stalls1(c, r, body):
    whole = head1(body) + body
    c.send(whole[:len(whole) // 2])
    time.sleep(r.choice((0.01, 0.1)))
    c.send(whole[len(whole) // 2:])


def early1(c, r):
    """Answered at the head; what comes of the body is not read."""
    c.send(head1(b"", "Connection: close\r\n", "413 Too Large"))
    return "close"


acts1 = {
    "echo": lambda c, r, b: c.send(head1(b) + b), "chunks": lambda c, r, b: [c.send(x) for x in chunked(r, b)] and None, "late": late1,
    "busy": lambda c, r, b: c.send(head1(b, "", "503 Busy") + b), "silent": lambda c, r, b: c.rest() and "close", "cut": cut1, "reset": reset1,
    "close": lambda c, r, b: "close", "stalls": stalls1, "nonsense": lambda c, r, b: c.send(b"\xff" * 300) or "close",
    "last": lambda c, r, b: c.send(head1(b, "Connection: close\r\n") + b) or "close", "interim": lambda c, r, b: c.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" + head1(b) + b),
    "fin": lambda c, r, b: c.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b) or "close", "more": lambda c, r, b: c.send(head1(b) + b + b"HTTP/1.1 200 OK\r\n") or "close",
}


# ---- hosts of HTTP/2 -------------------------------------------------------------------------------------------------

def does2(fn):
    def on(c, r):
        if not left(c, r):
            rand, body = came(r)
            fn(c, r, rand, body)
    return on


def left(c, r):
    """The host has said that it will not look at this one."""
    return r.stream >= getattr(c, "leaving", 1 << 31)


def refuse(c, r):
    """Not processed, says the host, and so it comes again; a host that always says so is asked no more."""
    if left(c, r):
        return
    if random.Random(field(r, "x-tag") + str(c.number)).random() < 0.7:
        c.send(rst(r.stream, REFUSED))
    else:
        r.fine = True


def away(c, r):
    """It is done with this connection, and did not look at this stream."""
    if not left(c, r):
        c.leaving = r.stream
        c.send(goaway(max(r.stream - 2, 0)))


def early2(c, r):
    c.head(r.stream, [(":status", "413")], END)
    c.send(rst(r.stream, NO_ERROR))


def answers(c, r, rand, body):
    c.reply(r, body)


def unless_refused():
    """What the early one did not settle is answered."""
    def on(c, r):
        if getattr(r, "fine", False) and not left(c, r):
            rand, body = came(r)
            c.reply(r, body)
    return on


def late2(c, r, rand, body):
    time.sleep(rand.choice((0.01, 0.05, 0.3)))
    c.reply(r, body)


def stops2(how):
    def on(c, r, rand, body):
        c.head(r.stream, [(":status", "200")])
        if body:
            c.data(r.stream, body[:len(body) // 2], False)
        how(c, r)
    return on


def bits(c, r, rand, body):
    c.head(r.stream, [(":status", "200")])
    at = 0
    while at < len(body):
        n = rand.choice((1, 1000, 16384, 40000))
        c.data(r.stream, body[at:at + n], False)
        at += n
    c.send(frame(DATA, END, r.stream))


acts2 = {
    "echo": answers, "late": late2, "bits": bits, "busy": lambda c, r, a, b: c.reply(r, b, 503), "silent": lambda c, r, a, b: None,
    "cut": stops2(lambda c, r: c.reset()), "rst": stops2(lambda c, r: c.send(rst(r.stream, INTERNAL))),
    "trailers": lambda c, r, a, b: c.reply(r, b, trailers=[("x-end", "1")]), "close": lambda c, r, a, b: c.close(),
    "interim": lambda c, r, a, b: (c.head(r.stream, [(":status", "103")]), c.reply(r, b)), "nonsense": lambda c, r, a, b: c.send(frame(WINDOW, 0, r.stream, b"\0\0\0\0")),
    "closed": lambda c, r, a, b: c.send(rst(r.stream, CANCEL)),
}
early_acts = {"refused": refuse, "away": away, "early": early2}
ones, twos = [Host(9001), Host(9002)], [Host2(9003), Host2(9004)]
for h in ones:
    h.on.update({f"/1/{k}": does1(v) for k, v in acts1.items()})
    h.on["early /1/early"] = early1
for h in twos:
    h.on.update({f"/2/{k}": does2(v) for k, v in acts2.items()})
    h.on.update({f"early /2/{k}": v for k, v in early_acts.items()})
    h.on["/2/refused"] = unless_refused()
    h.hello = lambda c: c.send(settings(window=random.Random(c.number).choice((100, 16384, 65535, 1 << 20))))
PATHS = [f"/1/{k}" for k in (*acts1, "early", "echo", "echo", "echo", "chunks", "late")] + \
    [f"{p}/{k}" for p in ("/2", "/few") for k in (*acts2, *early_acts, "echo", "echo", "echo", "bits", "late")]


# ---- clients ---------------------------------------------------------------------------------------------------------

class Asker:
    def __init__(self, seed):
        self.seed, self.r, self.n, self.c = seed, random.Random(seed), 0, None

    def one(self):
        """path, method, headers, body, what a good answer has."""
        r = self.r
        self.n += 1
        tag, size, back = f"{SEED}.{self.seed}.{self.n}", r.choice(SIZES), r.choice(SIZES)
        method = "POST" if size or r.random() < 0.5 else "GET"
        headers = [("x-tag", tag), ("x-size", str(size)), ("x-back", str(back))]
        return r.choice(PATHS), method, headers, content(tag, size), content("answer" + tag, back)

    def judge(self, path, status, body, want):
        counts[status] += 1
        if status == 200 and body != want:
            wrong.append(f"seed {self.seed}: {path} got {len(body)} bytes of {len(want)}: {bytes(body[:60])!r}")

    def run(self):
        try:
            for _ in range(STEPS):
                try:
                    self.step()
                except (EOFError, OSError, ValueError) as e:
                    if isinstance(e, TimeoutError):
                        raise
                    counts["ended"] += 1
                    self.leave()
            self.finish()
        except Exception as e:
            wrong.append(f"seed {self.seed}: {type(e).__name__}: {e}; {self.told()}")
        self.leave()

    def finish(self):
        pass

    def leave(self):
        if self.c:
            self.r.choice((self.c.close, self.c.reset))()
        self.c = None


class Asker1(Asker):
    doing = ""

    def told(self):
        return self.doing

    def step(self):
        r = self.r
        self.c = self.c or Client(r.choice((8080, 8081)), r.choice((0, 0, 8192)))
        asked = [self.one() for _ in range(r.choice((1, 1, 1, 1, 3)))]
        how = r.choice(("whole",) * 8 + ("chunks", "chunks", "slow", "slow", "leave", "half"))
        self.doing = f"{how} {[a[:3] for a in asked]}"
        for path, method, headers, body, want in asked:
            lines = f"{method} {path} HTTP/1.1\r\nHost: a.example\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers)
            if how == "chunks" and method == "POST":
                self.c.send(lines + "Transfer-Encoding: chunked\r\n\r\n")
                at = 0
                while at < len(body):
                    part = body[at:at + r.choice((100, 5000, 30000))]
                    self.c.send(b"%x\r\n%s\r\n" % (len(part), part))
                    at += len(part)
                self.c.send("0\r\n\r\n")
                continue
            whole = (lines + (f"Content-Length: {len(body)}\r\n" if method == "POST" else "") + "\r\n").encode() + body
            if how == "leave":
                self.c.send(whole[:r.randrange(len(whole))])
                self.leave()
                return
            while how == "slow" and whole and r.random() < 0.7:
                k = r.randrange(len(whole) + 1)
                self.c.send(whole[:k])
                whole = whole[k:]
                time.sleep(r.choice((0, 0.01)))
            self.c.send(whole)
        if how == "half":
            self.c.sock.shutdown(socket.SHUT_WR)
        for path, method, headers, body, want in asked:
            a = self.c.response(method)
            self.judge(path, a.status, a.body, want)
            if (a.get("connection") or "") == "close":
                self.leave()
                return
        if how == "half":
            self.leave()


class Asker2(Asker):
    def __init__(self, seed):
        super().__init__(seed)
        self.asked = {}

    def told(self):
        return f"over {self.c and self.c.over}, {[(s, a[0], len(a[3])) for s, a in self.asked.items()]}"

    def leave(self):
        super().leave()
        self.asked = {}

    def step(self):
        r = self.r
        if self.c and (self.c.over or self.c.goaway):
            self.finish()
            self.leave()
        self.c = self.c or Client2(r.choice((8080, 8081)), window=r.choice((0, 100, 16384, 65535, 1 << 20)) or 65535)
        r.choice(self.MOVES)(self)

    def ask(self):
        for _ in range(self.r.choice((1, 1, 3, 10))):
            path, method, headers, body, want = self.one()
            stream = self.c.ask(path, method, headers=headers, end=method == "GET")
            self.asked[stream] = path, body, want, body
            if method == "POST":
                threading.Thread(target=self.send, args=(self.c, stream, body), daemon=True).start()

    def send(self, c, stream, body):
        try:
            while body and self.r.random() < 0.3:
                n = len(body) // 2
                if n:
                    c.data(stream, body[:n], False)
                body = body[n:]
                if len(body) < 2:
                    break
            c.data(stream, body)
        except (OSError, AssertionError):
            pass

    def settle(self, wanted):
        for s in wanted:
            path, _, want, _ = self.asked.pop(s)
            a = self.c.answer(s)
            if a.ended:
                self.judge(path, a.status, a.body, want)
            else:
                counts["reset" if a.reset is not None else "ended"] += 1

    def some(self):
        self.settle([s for s in list(self.asked) if self.r.random() < 0.5])

    def all(self):
        self.settle(list(self.asked))

    def finish(self):
        if self.c:
            self.all()

    def cancel(self):
        for s in list(self.asked):
            if self.r.random() < 0.5:
                self.asked.pop(s)
                self.c.left(s)
                self.c.send(rst(s, CANCEL))

    def ping(self):
        self.c.send(frame(PING, 0, 0, b"12345678"))

    def shut(self):
        """Nothing is credited for a while."""
        self.c.credit = False
        time.sleep(self.r.choice((0.01, 0.1)))
        self.c.credit = True
        self.c.send(window(0, 1 << 20) + b"".join(window(s, 1 << 20) for s in self.asked if not self.c.answers[s].ended and self.c.answers[s].reset is None))

    def windows(self):
        self.c.send(settings(window=self.r.choice((1, 1000, 65535, 1 << 20))))

    def go(self):
        self.c.send(goaway(0))
        self.all()
        self.leave()

    MOVES = [ask] * 8 + [some] * 4 + [all] * 3 + [cancel] * 2 + [ping, shut, windows, go, leave]


def nothing_left():
    return metric("weft_http_active") == 0 and metric("weft_listener_open") == 0 and metric("weft_listener_streams") == 0


@case
def whatever_they_do():
    askers = [(Asker1 if i % 2 else Asker2)(SEED * 100 + i) for i in range(8)]
    threads = [threading.Thread(target=a.run) for a in askers]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print(SEED, dict(counts), flush=True)
    is_(wrong, [])
    is_([t for t, n in taken.items() if n > 1], [], "taken by hosts more than once")
    eventually(nothing_left)
    is_(get("/1/none").status, 200)


run()
PY

for seed in ${SEEDS:-1}; do
	weftd_start
	PYTHONPATH=$SRC/test/lib $PY "$T/random_http.py" "$seed" "${STEPS:-40}" | sed -u "s/^case \(pass\|fail\|skip\) /&${seed}_/" || failed=1
	[ "${PIPESTATUS[0]}" = 0 ] || failed=1
	weftd_stop
done
[ -z "${failed:-}" ]
