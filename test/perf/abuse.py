# SPDX-License-Identifier: Apache-2.0
"""What one client that floods costs. The others: time to the answer of quick requests, beside a proxy without the flood. The proxy:
processor time until it has stopped the client, for each KiB that was sent to it, beside as many bytes of honest requests; and
memory. One worker on processor 0; the flooder, the server and the clients share processor 1."""
import os
import statistics
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import l7  # noqa: E402
from bench import QUICK, Failed, say  # noqa: E402
from http2_raw import *  # noqa: E402,F403
from proxies import Weft  # noqa: E402

ROUNDS, REQUESTS, BOUTS = (2, 200, 3) if QUICK else (7, 1000, 20)
SENT_MAX = 32 << 20         # bytes that a flood has to be stopped within
RESET = b"\0\0\0\x08"
FLOODS = {
    "rapid-reset": lambda i: ask(2 * i + 1, "/100") + frame(RST, 0, 2 * i + 1, RESET),
    "pings": lambda i: frame(PING, 0, 0, b"12345678"),
    "settings": lambda i: frame(SETTINGS, 0, 0),
    "large-heads": lambda i: ask(2 * i + 1, "/100", **{f"x{n}": "y" * 100 for n in range(90)}),
}


def flood(port, make, stop):
    """Comes again as often as it is stopped."""
    while not stop.is_set():
        try:
            f = Frames(port)
            for i in range(0, 100000, 50):
                if stop.is_set():
                    break
                f.send(b"".join(make(i + k) for k in range(50)))
            f.close()
        except OSError:
            pass


def quick(port):
    """Microseconds to the answer, in the middle, of requests one after the other on one connection."""
    c, took = Client(port), []
    for _ in range(REQUESTS):
        begin = time.monotonic()
        if c.ask("/100").status != 200:
            raise Failed("a request was refused")
        took.append((time.monotonic() - begin) * 1e6)
    c.close()
    return statistics.median(took)


def beside(port, make):
    stop = threading.Event()
    flooder = os.fork()
    if not flooder:
        flood(port, make, stop)
        os._exit(0)
    try:
        time.sleep(0.2)
        return quick(port)
    finally:
        os.kill(flooder, 9)
        os.waitpid(flooder, 0)


class Cost:
    """What the proxy pays for work(), which tells how many bytes it sent: us of processor time for each KiB, its share of a
    processor meanwhile, and by how many MiB it was ever larger."""

    def __init__(self, proxy, work):
        self.proxy, self.rest, self.most = proxy, proxy.resident(), 0.0
        cpu, begin = proxy.cpu_ns(), time.monotonic()
        self.sent = work(self.look)
        time.sleep(0.05)
        self.cpu_ms = (proxy.cpu_ns() - cpu) / 1e6
        self.per_kib = self.cpu_ms * 1000 / (self.sent / 1024)
        self.share = self.cpu_ms / 1000 / (time.monotonic() - begin)

    def look(self):
        self.most = max(self.most, self.proxy.resident() - self.rest)


def stopped(port, batches, look):
    """Bytes that a flooder could send before it was stopped."""
    f, sent = Frames(port), 0
    try:
        for i, b in enumerate(batches):
            f.send(b)
            sent += len(b)
            if i % 10 == 0:
                look()
        raise Failed(f"{sent} bytes of a flood were taken")
    except OSError:
        look()
        return sent
    finally:
        f.close()


def honest(port, total, look):
    """Requests, 50 at once and each answered, until so many bytes were sent."""
    f, sent, stream = Frames(port), 0, 1
    f.send(frame(WINDOW, 0, 0, b"\x3f\0\0\0"))
    while sent < total:
        b, left = b"".join(ask(stream + 2 * k, "/100") for k in range(50)), 50
        stream += 100
        f.send(b)
        sent += len(b)
        while left:
            kind, flags, _, _ = f.frame()
            left -= bool(kind in (HEADERS, DATA) and flags & END)
        look()
    f.close()
    return sent


def prepared(make):
    """The same for each connection, as making it takes longer than to refuse it."""
    batches, n, i = [], 0, 0
    while n < SENT_MAX:
        batches.append(b"".join(make(i + k) for k in range(50)))
        n, i = n + len(batches[-1]), i + 50
    return batches


def report_cost(report, proxy, name, make):
    port, batches = proxy.port["h1"], prepared(make)
    stopped(port, batches, lambda: None)
    flood_cost = Cost(proxy, lambda look: sum(stopped(port, batches, look) for _ in range(BOUTS)))
    plain = Cost(proxy, lambda look: honest(port, min(flood_cost.sent, 1 << 20), look))
    report.put(f"h2-abuse-{name}-cpu", "honest requests", "us cpu/KiB", flood_cost.per_kib, plain.per_kib, aim=1.0,
               ms_until_stopped=flood_cost.cpu_ms / BOUTS, kib_until_stopped=flood_cost.sent / BOUTS / 1024,
               share=flood_cost.share, share_peer=plain.share)
    report.put(f"h2-abuse-{name}-memory", "honest requests", "MiB more", flood_cost.most, plain.most)


def report_others(report, proxy, name, make):
    alone, under = [], []
    for _ in range(ROUNDS):
        alone.append(quick(proxy.port["h1"]))
        under.append(beside(proxy.port["h1"], make))
    say(f"{name}: {statistics.median(alone):.0f} us alone, {statistics.median(under):.0f} us beside it")
    report.pairs(f"h2-abuse-{name}", "no flood", "us to the answer", under, alone, 2.0)


def work(rig, _, report):
    os.sched_setaffinity(0, {rig.load_cpu})
    proxy = Weft(rig)
    proxy.start()
    try:
        for name, make in FLOODS.items():
            report_others(report, proxy, name, make)
            report_cost(report, proxy, name, make)
    finally:
        proxy.stop()


if __name__ == "__main__":
    l7.script(work, case="h2-abuse")
