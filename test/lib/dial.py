#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A client of services for shell tests, as a command and as a module (PYTHONPATH=test/lib).

dial.py tcp|udp ADDRESS PORT [N]    dials N times and prints "BACKEND COUNT" for each backend, or the errno's name
                                    (backends: test/lib/answer.py, or serve.py in mode name with --ask)
"""
import argparse
import collections
import errno
import math
import socket

TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM


def make(address, kind, timeout=30.0):             # long: a busy machine is no failure
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    s.settimeout(timeout)
    return s


def dial(address, port, kind=TCP):
    """A connected socket; raises OSError."""
    s = make(address, kind)
    try:
        s.connect((address, port))
    except BaseException:
        s.close()
        raise
    return s


def said(s, ask=False):
    """Which backend a connected socket reached."""
    if ask or s.type == UDP:
        s.send(b"?\n")
    return s.recv(256).decode().strip()


def who(address, port, kind=TCP, ask=False):
    """The backend that one new connection reaches, or the name of its errno."""
    try:
        with dial(address, port, kind) as s:
            return said(s, ask)
    except OSError as e:
        return errno.errorcode.get(e.errno, str(e))


def who_sendto(s, address, port):
    """The backend that answers a datagram of an unconnected socket, and the address it shows; or the errno's name."""
    try:
        s.sendto(b"?", (address, port))
        name, peer = s.recvfrom(256)
        return name.decode().strip(), peer[:2]
    except OSError as e:
        return errno.errorcode.get(e.errno, str(e)), None


def many(address, port, n, kind=TCP, ask=False):
    return collections.Counter(who(address, port, kind, ask) for _ in range(n))


def chi_square(counts, weights):
    """The statistic of counts against shares by weight, and the value that chance passes once in a million times."""
    total, n = sum(counts.values()), sum(weights.values())
    assert set(counts) <= set(weights), f"{set(counts) - set(weights)} took connections, of {dict(counts)}"
    used = {k: w for k, w in weights.items() if w}
    stat = sum((counts.get(k, 0) - total * w / n) ** 2 / (total * w / n) for k, w in used.items())
    k = len(used) - 1
    limit = k * (1 - 2 / (9 * k) + 4.753 * math.sqrt(2 / (9 * k))) ** 3    # Wilson and Hilferty
    return stat, limit


def check_shares(what, counts, weights):
    for name, weight in weights.items():
        assert weight or not counts.get(name), f"{what}: {name} takes nothing, but got {counts[name]}"
    stat, limit = chi_square(counts, weights)
    assert stat < limit, f"{what}: chi-square {stat:.1f} of at most {limit:.1f}: {dict(counts)} for {weights}"
    print(f"  ok: {what}: chi-square {stat:.1f} < {limit:.1f}", flush=True)


def check(what, got, want):
    assert got == want, f"{what}: got {got!r}, wanted {want!r}"
    print(f"  ok: {what}", flush=True)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("kind", choices=("tcp", "udp"))
    p.add_argument("address")
    p.add_argument("port", type=int)
    p.add_argument("n", type=int, nargs="?", default=1)
    p.add_argument("--ask", action="store_true", help="send a line first")
    opt = p.parse_args()
    counts = many(opt.address, opt.port, opt.n, TCP if opt.kind == "tcp" else UDP, opt.ask)
    for name, count in sorted(counts.items()):
        print(name, count)


if __name__ == "__main__":
    main()
