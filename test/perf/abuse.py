# SPDX-License-Identifier: Apache-2.0
"""What one client that floods does to the others: time to the answer of quick requests, beside a proxy without the flood. One worker
on processor 0; the flooder, the server and the clients share processor 1."""
import argparse
import os
import statistics
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import l7  # noqa: E402
from bench import QUICK, Failed, Report, say  # noqa: E402
from http2_raw import *  # noqa: E402,F403
from proxies import Weft  # noqa: E402

ROUNDS, REQUESTS = (2, 200) if QUICK else (7, 1000)
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


def main():
    a = argparse.ArgumentParser()
    for name in ("build", "scratch", "cgroup"):
        a.add_argument(f"--{name}", required=True)
    args = a.parse_args()
    args.envoy, args.case = "", "h2-abuse"
    report, rig = Report(), l7.Rig(args)
    os.sched_setaffinity(0, {rig.load_cpu})
    proxy = Weft(rig)
    proxy.start()
    try:
        for name, make in FLOODS.items():
            alone, under = [], []
            for _ in range(ROUNDS):
                alone.append(quick(proxy.port["h1"]))
                under.append(beside(proxy.port["h1"], make))
            say(f"{name}: {statistics.median(alone):.0f} us alone, {statistics.median(under):.0f} us beside it")
            report.pairs(f"h2-abuse-{name}", "no flood", "us to the answer", under, alone, 2.0)
    finally:
        proxy.stop()
        rig.backend.terminate()
    report.summary()


if __name__ == "__main__":
    try:
        main()
    except Failed as e:
        sys.exit(f"bench: {e}")
