#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A client that never pauses, for tests in which nothing may be noticed.

steady.py ADDRESS PORT [--udp PORT] [--stream ADDRESS PORT]

Until SIGTERM: connects to a service (answer.py), sends datagrams on one unconnected socket, and keeps one stream to an
echo service going with bytes that it compares. Prints "running" after ten rounds, and at the end one line
"connects N datagrams N stream N bytes, failed N" with the first failures after it. Exit code 1 if anything failed.
"""
import argparse
import os
import signal
import sys

import dial

failures = []
stop = False


def failed(what, e):
    failures.append(f"{what}: {e}")


def on_term(*_):
    global stop
    stop = True


def echo(stream, block):
    stream.sendall(block)
    got = b""
    while len(got) < len(block):
        more = stream.recv(len(block) - len(got))
        if not more:
            raise OSError("end of stream")
        got += more
    if got != block:
        raise OSError("other bytes came back")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("address")
    p.add_argument("port", type=int)
    p.add_argument("--udp", type=int)
    p.add_argument("--stream", nargs=2)
    opt = p.parse_args()
    signal.signal(signal.SIGTERM, on_term)
    udp = dial.make(opt.address, dial.UDP) if opt.udp else None
    stream = dial.dial(opt.stream[0], int(opt.stream[1])) if opt.stream else None
    connects = datagrams = streamed = rounds = 0
    while not stop:
        try:
            with dial.dial(opt.address, opt.port) as s:
                dial.said(s)
                connects += 1
        except OSError as e:
            failed("connect", e)
        if udp:
            name, peer = dial.who_sendto(udp, opt.address, opt.udp)
            if peer == (opt.address, opt.udp):
                datagrams += 1
            else:
                failed("datagram", f"{name} {peer}")
        if stream:
            block = os.urandom(1 + rounds % 3000)
            try:
                echo(stream, block)
                streamed += len(block)
            except OSError as e:
                failed("stream", e)
                stream = None
        rounds += 1
        if rounds == 10:
            print("running", flush=True)
    print(f"connects {connects} datagrams {datagrams} stream {streamed} bytes, failed {len(failures)}", flush=True)
    print("\n".join(failures[:20]))
    sys.exit(1 if failures or not connects else 0)


if __name__ == "__main__":
    main()
