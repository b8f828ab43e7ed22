# SPDX-License-Identifier: Apache-2.0
"""gRPC through a proxy, by Debian's python3-grpcio: calls of raw bytes, and what http_rig's HTTP/1.1 hosts need to answer them.

	r = call("/pkg.Svc/Do", b"ask")         # r.code "OK", r.details, r.messages, r.metadata, r.trailers
	host.on["/pkg.Svc/Do"] = says(b"answer", status=0)
Source it with /usr/bin/python3, whose package grpcio is.
"""
import os
import struct

os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
import grpc  # noqa: E402
from http_rig import *  # noqa: E402,F403

# The proxy's tries are what is counted, not the client's own.
OPTIONS = (("grpc.enable_retries", 0), ("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1))


class Outcome:
    def __init__(self, code, details, messages, metadata, trailers):
        self.code, self.details, self.messages = code, details, messages
        self.metadata, self.trailers = dict(metadata or ()), dict(trailers or ())


def outcome(rpc, messages):
    return Outcome(rpc.code().name, rpc.details(), messages, rpc.initial_metadata(), rpc.trailing_metadata())


def call(path, message=b"ask", port=8080, timeout=LIMIT, metadata=(), channel=None):
    """One message there, any number back."""
    own = channel or grpc.insecure_channel(f"127.0.0.1:{port}", OPTIONS)
    messages = []
    try:
        rpc = own.unary_stream(path)(message, timeout=timeout, metadata=metadata)
        try:
            for m in rpc:
                messages.append(m)
        except grpc.RpcError:
            pass
        return outcome(rpc, messages)
    finally:
        if not channel:
            own.close()


def frame(message):
    return b"\0" + struct.pack(">I", len(message)) + message


def chunk(data):
    return b"%x\r\n%b\r\n" % (len(data), data)


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ntransfer-encoding: chunked\r\n"


def says(*messages, status=0, text="", headers=""):
    """An answer in HTTP/1.1: head, messages, status in the trailers."""
    words = f"grpc-message: {text}\r\n" if text else ""

    def fn(c, r):
        c.send(HEAD + headers.encode() + b"\r\n" + b"".join(chunk(frame(m)) for m in messages) +
               f"0\r\ngrpc-status: {status}\r\n{words}\r\n".encode())
    return fn


def only(status, text="", headers=""):
    """Trailers-Only."""
    words = f"grpc-message: {text}\r\n" if text else ""

    def fn(c, r):
        c.send(f"HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ncontent-length: 0\r\ngrpc-status: {status}\r\n"
               f"{words}{headers}\r\n")
    return fn


def in_turn(*answers):
    """The first request gets the first answer, and so on; the last one stays."""
    left = list(answers)

    def fn(c, r):
        return (left.pop(0) if len(left) > 1 else left[0])(c, r)
    return fn
