# SPDX-License-Identifier: Apache-2.0
"""A non-blocking client of an HTTP host: says by which address it dialled, and whom it sees at the other end."""
import errno, select, socket


def look(name, s, address, port=80):
    s.setblocking(False)
    e = s.connect_ex((address, port))
    assert e in (0, errno.EINPROGRESS), errno.errorcode[e]
    assert select.select([], [s], [], 60)[1]
    assert not s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    print(name, s.getsockname()[0], *s.getpeername()[:2])
    s.setblocking(True)
    s.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert s.makefile("rb").read().startswith(b"HTTP/1.1 200"), name
