#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Clients and hosts of RPC protocols that do anything at any time, by a seed: frames cut and slow, clients that leave, do not read or half close,
# hosts that are late, silent, die in an answer, speak nonsense or go away. Whatever else happens, an answer is the right one, every caller hears
# something or its connection ends, and at the end nothing is left. SEEDS: those to run, STEPS: of each client.
. "$(dirname "$0")/../lib/net.sh"

config() {
	cat <<YAML
workers: 3
kernel: {mode: off}
listeners:
- {name: calls, address: "127.0.0.1:8080", protocol: $1, routes: [calls], limits: {headBytes: 64KiB}, timeouts: {head: 1s, idle: 1s}}
- {name: several, address: "127.0.0.1:8081", protocol: auto, routes: [calls], limits: {connections: 40}, timeouts: {head: 1s, idle: 1s}}
routes:
- name: calls
  rules:
  - {matches: [{service: {value: plain}}], backends: [{cluster: all}], timeouts: {request: 20s}}
  - matches: [{service: {value: again}}]
    backends: [{cluster: all}]
    retry: {attempts: 2, on: [reset, connect-failure, 5xx], backoff: 1ms, budget: {percent: 100, minPerSecond: 1000}}
    timeouts: {request: 20s, backendRequest: 500ms}
  - matches: [{service: {value: change}}]
    filters: [{type: RequestHeaderModifier, set: [{name: x-mesh, value: weft}]}, {type: ResponseHeaderModifier, set: [{name: x-back, value: weft}]}]
    backends: [{cluster: few}]
    timeouts: {request: 20s}
clusters:
- {name: all, protocol: $1, loadBalancer: random, endpoints: [{address: "127.0.0.1:9001"}, {address: "127.0.0.1:9002"}, {address: "127.0.0.1:9003"}], connectionPool: {pingInterval: 300ms, pingTimeout: 500ms}}
- {name: few, protocol: $1, endpoints: [{address: "127.0.0.1:9001"}, {address: "127.0.0.1:9002"}], connectionPool: {maxConnections: 2, maxPending: 8, maxRequests: 40, maxRequestsPerConnection: 50}}
telemetry: {accessLog: [{path: $T/access.log, format: json}]}
YAML
}

cat > "$T/random_calls.py" <<'PY'
import random
import zlib
from rpc_rig import *

name, SEED, STEPS = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
RpcHostOf, ClientOf = PEERS[name]
CLIENTS = 8
GOOD = SUCCESS if name == "bolt" else OK
SIZES = (0, 1, 100, 5000, 60000, 65536, 70000, 300000) if name == "bolt" else (0, 1, 100, 5000, 60000, 66000, 90000)
ACTS = ["echo"] * 10 + ["late", "late", "busy", "silent", "cut", "close", "reset", "pause", "goaway", "beat", "nonsense", "twice", "wrong"]
counts = dict.fromkeys(("answered", "good", "ended"), 0)
wrong = []


def content(tag, n):
    """What only this call has, so long."""
    b = (f"{tag}:{zlib.crc32(str(tag).encode()):08x}|".encode() * (n // 12 + 1))[:n]
    return b if name == "bolt" else b.decode()


# ---- hosts ----------------------------------------------------------------------------------------------------------

def act(call):
    r = random.Random(call.fields.get("tag", ""))
    what = call.fields.get("act", "echo")
    try:
        return acts[what](call, r)
    except OSError:
        return "close"


def late(call, r):
    def then():
        try:
            call.answer()
        except OSError:
            pass
    threading.Timer(r.choice((0.01, 0.05, 0.3)), then).start()


def cut_in(call, r):
    whole = call.packed()
    call.conn.send(whole[:r.randrange(1, len(whole))])
    return "close"


def reset(call, r):
    call.conn.send(call.packed()[:r.randrange(100)])
    call.conn.reset()
    return "close"


def pause(call, r):
    """The first half of an answer, and the rest a little later; nothing else of this connection between."""
    whole = call.packed()
    with call.conn.lock:
        call.conn.sock.sendall(whole[:len(whole) // 2])
        time.sleep(r.choice((0.01, 0.1)))
        call.conn.sock.sendall(whole[len(whole) // 2:])
    call.conn.live.discard(call.id)


def and_answer(tell):
    def fn(call, r):
        tell(call)
        call.answer()
    return fn


def stray(call, r):
    """An answer that nobody asked for, then the right one."""
    q, call.id = call.id, 0x7ffffff0
    call.frame.id = call.id
    call.conn.send(call.packed())
    call.frame.id = call.id = q
    call.answer()


acts = {
    "echo": lambda call, r: call.answer(), "late": late, "busy": lambda call, r: call.answer(BUSY_WORD[name]), "silent": lambda call, r: None,
    "cut": cut_in, "close": lambda call, r: "close", "reset": reset, "pause": pause,
    "goaway": and_answer(lambda call: call.conn.send(call.host.goaway_frame())), "beat": and_answer(lambda call: call.conn.send(call.host.beat_frame())),
    "nonsense": lambda call, r: call.conn.send(b"\xff" + r.randbytes(200)) or "close", "twice": lambda call, r: (call.answer(), call.conn.send(call.packed())) and None,
    "wrong": stray,
}
hosts = [RpcHostOf(9000 + i, f"h{i}") for i in (1, 2, 3)]
for h in hosts:
    h.on[""] = act


# ---- clients --------------------------------------------------------------------------------------------------------

class Caller:
    def __init__(self, seed):
        self.r, self.asked, self.c, self.n, self.seed = random.Random(seed), {}, None, 0, seed

    def run(self):
        for _ in range(STEPS):
            try:
                if not self.c:
                    self.c = ClientOf(self.r.choice((8080, 8080, 8081)))
                    if self.r.random() < 0.2:
                        self.c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
                self.move = self.r.choice(self.MOVES)
                self.move(self)
            except (EOFError, OSError) as e:
                if isinstance(e, TimeoutError):
                    wrong.append(f"seed {self.seed}: {self.move.__name__}: nothing came for {LIMIT} s of {self.asked}")
                    return
                self.gone()
        if self.c:
            try:
                self.collect()
                self.c.close()
            except (EOFError, OSError):
                self.gone()

    def gone(self):
        counts["ended"] += len(self.asked)
        self.c.close()
        self.c, self.asked = None, {}

    def frame(self, oneway=False):
        r = self.r
        self.n += 1
        tag = f"{SEED}.{self.seed}.{self.n}"
        fields, size = {"tag": tag, "act": r.choice(ACTS)}, r.choice(SIZES)
        timeout = r.choice((5, 50, 300, 3000, 3000, 3000))
        f = self.c.made(self.n, r.choice(("plain", "plain", "again", "change", "none")), "m", content(tag, size), fields, timeout, oneway)
        if not oneway:
            self.asked[self.n] = (tag, size)
        return f

    def calls(self):
        self.c.send(b"".join(self.frame(self.r.random() < 0.1) for _ in range(self.r.choice((1, 1, 2, 5, 20)))))

    def slow(self):
        f = self.frame()
        for _ in range(3):
            k = self.r.randrange(len(f) + 1)
            self.c.send(f[:k])
            f = f[k:]
            time.sleep(self.r.choice((0, 0.001, 0.02)))
        self.c.send(f)

    def collect(self):
        while self.asked:
            self.c.step()
            self.check()

    def some(self):
        for _ in range(min(len(self.asked), 3)):
            self.c.step()
            self.check()

    def check(self):
        for number, a in list(self.c.answers.items()):
            del self.c.answers[number]
            counts["answered"] += 1
            if number not in self.asked:
                wrong.append(f"seed {self.seed}: an answer to {number}, which was not asked")
                continue
            tag, size = self.asked.pop(number)
            if a.status == GOOD:
                counts["good"] += 1
                if a.body != content(tag, size):
                    wrong.append(f"seed {self.seed}: {number} ({tag}, {size} bytes) got {len(a.body)} bytes: {a.body[:80]!r}")

    def beat(self):
        self.c.send(self.c.beat_frame(self.r.randrange(1 << 31)))

    def leave(self):
        self.c.close()
        self.forget()

    def forget(self):
        self.c, self.asked = None, {}

    def reset(self):
        self.c.reset()
        self.forget()

    def leave_in_a_frame(self):
        f = self.frame()
        self.c.send(f[:self.r.randrange(1, len(f))])
        self.r.choice((self.c.close, self.c.reset))()
        self.forget()

    def half_close(self):
        self.calls()
        self.c.sock.shutdown(socket.SHUT_WR)
        self.c.left()
        self.c.close()
        self.forget()

    def nonsense(self):
        self.c.send(self.r.choice((b"\xff", b"GET / HTTP/1.0\r\n\r\n", self.frame()[:10] + b"\xff" * 50)))
        self.c.left()
        self.c.close()
        self.forget()

    def rest(self):
        time.sleep(self.r.choice((0.001, 0.02, 0.1)))

    MOVES = [calls] * 8 + [slow] * 2 + [collect] * 4 + [some] * 4 + [beat, leave, reset, leave_in_a_frame, half_close, nonsense, rest]


def nothing_left():
    return metric("weft_http_active") == 0 and metric("weft_listener_open") == 0 and metric("weft_listener_streams") == 0


@case
def whatever_they_do():
    callers = [Caller(SEED * 100 + i) for i in range(CLIENTS)]
    threads = [threading.Thread(target=c.run) for c in callers]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for h in hosts:
        h.on.clear()
    print(name, SEED, counts, flush=True)
    is_(wrong, [])
    is_([w for h in hosts for w in h.wrong], [], "what hosts got")
    assert counts["good"] > counts["answered"] // 4, counts
    eventually(nothing_left)
    is_(ClientOf().ask("plain", "m", content("last", 5)).body, content("last", 5))


run()
PY

for p in ${PROTOCOLS:-bolt dubbo}; do
	for seed in ${SEEDS:-1}; do
		config "$p" > "$T/weft.yaml"
		weftd_start
		PYTHONPATH=$SRC/test/lib python3 "$T/random_calls.py" "$p" "$seed" "${STEPS:-50}" | sed -u "s/^case \(pass\|fail\|skip\) /&${p}_${seed}_/" || failed=1
		[ "${PIPESTATUS[0]}" = 0 ] || failed=1
		weftd_stop
	done
done
[ -z "${failed:-}" ]
