#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A backend for shell tests. Prints "ready" when every port listens.

serve.py --name N [--tcp PORT]... [--udp PORT]... [--bind ADDR] [--mode name|echo]

mode name: TCP answers a line or an HTTP request head with N (as an HTTP reply where it was HTTP), UDP answers each
datagram with N. mode echo: both give back what they got. A peer that only connects and waits gets nothing.
"""
import argparse
import asyncio
import socket
import sys

opt = None


async def serve_echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def serve_name(reader, writer):
    name = opt.name.encode()
    while line := await reader.readline():
        if b" HTTP/1." not in line:
            writer.write(name + b"\n")
        else:
            close = False
            length = 0
            while (head := await reader.readline()) not in (b"\r\n", b"\n", b""):
                key, _, value = head.decode("latin-1").partition(":")
                close |= key.lower() == "connection" and value.strip().lower() == "close"
                if key.lower() == "content-length":
                    length = int(value)
            if length:
                await reader.readexactly(length)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n%s\r\n%s\n"
                         % (len(name) + 1, b"Connection: close\r\n" if close else b"", name))
            if close:
                break
        await writer.drain()


async def on_tcp(reader, writer):
    try:
        await (serve_echo if opt.mode == "echo" else serve_name)(reader, writer)
    except (ConnectionError, asyncio.IncompleteReadError, ValueError):
        pass
    finally:
        writer.close()


class Udp(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.transport.sendto(data if opt.mode == "echo" else opt.name.encode(), addr)


def bound(kind, port):
    family = socket.AF_INET6 if ":" in opt.bind else socket.AF_INET
    sock = socket.socket(family, kind)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((opt.bind, port))
    return sock


async def main():
    loop = asyncio.get_running_loop()
    servers = [await asyncio.start_server(on_tcp, sock=bound(socket.SOCK_STREAM, p), backlog=4096) for p in opt.tcp]
    for port in opt.udp:
        await loop.create_datagram_endpoint(Udp, sock=bound(socket.SOCK_DGRAM, port))
    print("ready", flush=True)
    await asyncio.gather(*[s.serve_forever() for s in servers], asyncio.Event().wait())


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--name", required=True)
    p.add_argument("--tcp", type=int, action="append", default=[])
    p.add_argument("--udp", type=int, action="append", default=[])
    p.add_argument("--bind", default="::", help="address to bind; :: takes IPv4 too")
    p.add_argument("--mode", choices=("name", "echo"), default="name")
    opt = p.parse_args()
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(130)
