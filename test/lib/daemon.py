# SPDX-License-Identifier: Apache-2.0
"""The weftd of this test's machine, asked: its Admin API, its counters, its proxy."""
import os
import socket

ADMIN = "/run/weft/admin.sock"


def admin(path):
    """The body of GET path."""
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(60)
    s.connect(ADMIN)
    s.sendall(f"GET {path} HTTP/1.1\r\nHost: weft\r\nConnection: close\r\n\r\n".encode())
    text = b"".join(iter(lambda: s.recv(1 << 16), b""))
    s.close()
    return text.split(b"\r\n\r\n", 1)[1].decode()


def metric(name):
    """Sum of the rows of that name; the proxy tells of its own once a second."""
    rows = [l.rsplit(" ", 1) for l in admin("/metrics").splitlines()]
    return sum(float(n) for row, n in rows if row.split("{")[0] == name)


def proxy():
    """The process id of the proxy; None: there is none."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if b"\0--role=proxy" in open(f"/proc/{pid}/cmdline", "rb").read():
                return int(pid)
        except OSError:
            pass


def rss(pid):
    """Bytes."""
    return int(open(f"/proc/{pid}/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
