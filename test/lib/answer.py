#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many backends in one process, for tests of who is picked. Prints "ready" when all listen.

answer.py --port PORT ADDRESS...

Each address listens at PORT, TCP and UDP. TCP says the address at once, as a line, and then waits for the client to
close; UDP answers each datagram with the address. SIGTERM ends it.
"""
import argparse
import selectors
import socket


def listen(sel, address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    name = (address + "\n").encode()
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        s = socket.socket(family, kind)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((address, port))
        if kind == socket.SOCK_STREAM:
            s.listen(1024)
        s.setblocking(False)
        sel.register(s, selectors.EVENT_READ, (accept if kind == socket.SOCK_STREAM else answer, name))


def accept(sel, s, name):
    try:
        c, _ = s.accept()
    except OSError:
        return
    try:
        c.send(name)
        c.setblocking(False)
        sel.register(c, selectors.EVENT_READ, (drain, name))
    except OSError:
        c.close()


def drain(sel, c, _):
    try:
        if c.recv(4096):
            return
    except OSError:
        pass
    sel.unregister(c)
    c.close()


def answer(_, s, name):
    try:
        _, peer = s.recvfrom(2048)
        s.sendto(name, peer)
    except OSError:
        pass


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--port", type=int, required=True)
    p.add_argument("address", nargs="+")
    opt = p.parse_args()
    sel = selectors.DefaultSelector()
    for address in opt.address:
        listen(sel, address, opt.port)
    print("ready", flush=True)
    while True:
        for key, _ in sel.select():
            fn, name = key.data
            fn(sel, key.fileobj, name)


if __name__ == "__main__":
    main()
