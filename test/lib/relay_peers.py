# SPDX-License-Identifier: Apache-2.0
"""Peers of the TCP proxy: `serve PORT` answers by the first byte of a connection, `cases` and `trips` are the clients of
tcp_relay.sh.

First byte:  e  echo until FIN, then FIN       h  read to FIN, then answer what came in full, then FIN
             s  send without end               q  say nothing      r  reset       z  FIN at once, then count what still comes
             n  never read                     b  16 hex digits follow: send so many bytes, then FIN
"""
import array, fcntl, hashlib, os, select, socket, struct, sys, termios, threading, time

from daemon import proxy, rss

CHUNK = bytes(range(256)) * 256


def read_all(s):
    parts = []
    while data := s.recv(1 << 16):
        parts.append(data)
    return b"".join(parts)


def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def answer(s):
    kind = s.recv(1)
    if kind == b"e":
        while data := s.recv(1 << 16):
            s.sendall(data)
        s.shutdown(socket.SHUT_WR)
    elif kind == b"h":
        data = read_all(s)
        s.sendall(b"%d %s" % (len(data), hashlib.md5(data).hexdigest().encode()))
    elif kind == b"s":
        while True:
            s.sendall(CHUNK)
    elif kind in (b"q", b"n"):
        gone = select.poll()
        gone.register(s, 0)                     # both FINs, or a reset
        gone.poll()
    elif kind == b"r":
        reset(s)
        return
    elif kind == b"z":
        s.shutdown(socket.SHUT_WR)
        print("after FIN came", len(read_all(s)), flush=True)
    elif kind == b"b":
        n = int(s.recv(16, socket.MSG_WAITALL), 16)
        while n:
            n -= s.send(CHUNK[:n])
    s.close()


def guarded(s):
    try:
        answer(s)
    except OSError as e:
        print("broke:", e, flush=True)
        s.close()


def serve(port):
    l = socket.create_server(("127.0.0.1", port), backlog=512)
    print("ready", flush=True)
    while True:
        s, _ = l.accept()
        threading.Thread(target=guarded, args=(s,), daemon=True).start()


def dial(port, first, host="127.0.0.1"):
    s = socket.create_connection((host, port), timeout=60)
    s.sendall(first)
    return s


def check(what, got, want):
    assert got == want, f"{what}: got {got!r}, wanted {want!r}"
    print(f"  ok: {what}", flush=True)


def ends_with_reset(s):
    try:
        while s.recv(1 << 16):
            pass
        return "FIN"
    except ConnectionResetError:
        return "RST"


def echo(port, host="127.0.0.1", data=b"hello"):
    with dial(port, b"e" + data, host) as s:
        s.shutdown(socket.SHUT_WR)
        return read_all(s)


def proxy_rss():
    """KiB."""
    return rss(proxy()) // 1024


def waiting(s):
    """Bytes that a socket has and nobody read."""
    n = array.array("i", [0])
    fcntl.ioctl(s, termios.FIONREAD, n)
    return n[0]


def full(socks, seconds=60):
    """Until each of the sockets has bytes, and for a second no new ones."""
    end, before, since = time.monotonic() + seconds, None, time.monotonic()
    while before is None or not all(before) or time.monotonic() - since < 1:
        assert time.monotonic() < end, f"bytes still come: {before}"
        select.select([], [], [], 0.05)
        now = [waiting(s) for s in socks]
        if now != before:
            before, since = now, time.monotonic()


def in_use(port, seconds=1.5):
    """A connection that says something all the time lives on; a machine that stood still meanwhile proves nothing."""
    for _ in range(20):
        try:
            with dial(port, b"e") as s:
                end = time.monotonic() + seconds
                while time.monotonic() < end:
                    s.sendall(b"x")
                    if s.recv(1) != b"x":
                        break
                    select.select([], [], [], 0.05)
                else:
                    return True
        except ConnectionResetError:
            pass
    return False


def bulk_up(total):
    with dial(7001, b"h") as s:
        md5, left = hashlib.md5(), total
        while left:
            piece = CHUNK[:min(left, len(CHUNK))]
            s.sendall(piece)
            md5.update(piece)
            left -= len(piece)
        s.shutdown(socket.SHUT_WR)
        check(f"{total >> 20} MiB to the host, every byte in its place", read_all(s),
              b"%d %s" % (total, md5.hexdigest().encode()))


def bulk_down(total):
    with dial(7001, b"b%016x" % total) as s:
        md5, want, n, left = hashlib.md5(), hashlib.md5(), 0, total
        while data := s.recv(1 << 20):
            md5.update(data)
            n += len(data)
        while left:
            want.update(CHUNK[:min(left, len(CHUNK))])
            left -= min(left, len(CHUNK))
        check(f"{total >> 20} MiB from the host", (n, md5.hexdigest()), (total, want.hexdigest()))


def trips():
    """Much in all, but little at a time."""
    piece = os.urandom(1024)
    with dial(7001, b"e") as s:
        for _ in range(1000):
            s.sendall(piece)
            if s.recv(len(piece), socket.MSG_WAITALL) != piece:
                raise AssertionError("the echo is not what was sent")
        s.shutdown(socket.SHUT_WR)
        check("a thousand round trips of 1 KiB", read_all(s), b"")


def slow_reader():
    before = proxy_rss()
    slow = [dial(7001, b"s") for _ in range(40)]
    full(slow)
    grown = proxy_rss() - before
    assert grown < 20000, f"40 readers that do not read cost {grown} KiB"
    print(f"  ok: 40 readers that do not read cost the proxy {grown} KiB", flush=True)
    total = 0
    while total < 8 << 20:
        total += len(slow[0].recv(1 << 20))
    check("one that reads on gets its bytes", total >= 8 << 20, True)
    for s in slow:
        reset(s)


def slow_writer():
    s = dial(7001, b"n")
    s.setblocking(False)
    sent = 0
    while select.select([], [s], [], 1)[1]:
        try:
            sent += s.send(CHUNK)
        except BlockingIOError:
            pass
    assert sent < 32 << 20, f"a host that does not read took {sent} bytes"
    print(f"  ok: a host that does not read stops the client after {sent >> 10} KiB", flush=True)
    reset(s)


def cases():
    check("bytes there and back", echo(7001), b"hello")
    check("over IPv6 too", echo(7001, "::1"), b"hello")
    check("nothing at all", echo(7001, data=b""), b"")
    with dial(7001, b"habc") as s:
        s.shutdown(socket.SHUT_WR)
        check("the client's FIN is passed on, and the answer comes after it", read_all(s).split()[0], b"3")
    with dial(7001, b"z") as s:
        check("the host's FIN is passed on", read_all(s), b"")
        s.sendall(b"x" * 1000)
    for size in (1, 4095, 65536, 65537, 300000, 5000000):
        data = os.urandom(size)
        with dial(7001, b"h" + data) as s:
            s.shutdown(socket.SHUT_WR)
            check(f"{size} bytes", read_all(s), b"%d %s" % (size, hashlib.md5(data).hexdigest().encode()))
    check("a host's reset is the client's", ends_with_reset(dial(7001, b"r")), "RST")
    begin = time.monotonic()
    check("a connection that is idle is ended", ends_with_reset(dial(7002, b"q")), "RST")
    took = time.monotonic() - begin
    assert took > 0.99, took
    check("one that is not, is not", in_use(7002), True)
    check("a host that refuses: the next one", [echo(7003) for _ in range(30)], [b"hello"] * 30)
    for port, what in ((7004, "every host refuses"), (7006, "no rule matches")):
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=60) as s:
                check(what, ends_with_reset(s), "RST")
        except ConnectionResetError:            # it came before connect() was back
            print(f"  ok: {what}", flush=True)
    check("the second rule, by port", echo(7005), b"hello")
    first, second = dial(7007, b"e"), dial(7007, b"e")
    for s in (first, second):
        s.sendall(b"1")
        assert s.recv(1) == b"1"
    third = dial(7007, b"e3")
    third.settimeout(0.5)
    try:
        check("the third of two waits", third.recv(1), "nothing")
    except TimeoutError:
        print("  ok: the third of two waits", flush=True)
    first.close()
    third.settimeout(60)
    check("until one of them ends", third.recv(1), b"3")
    slow_reader()
    slow_writer()
    bulk_up(1 << 28)
    bulk_down(1 << 28)


if __name__ == "__main__":
    {"cases": cases, "trips": trips, "serve": serve}[sys.argv[1]](*map(int, sys.argv[2:]))
