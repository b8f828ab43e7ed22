# SPDX-License-Identifier: Apache-2.0
"""Frames of HTTP/2 made and read by hand: for clients that do what no library would, or say what none tells."""
from http_rig import *

DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
END, ACK, END_HEADERS = 1, 1, 4
LAST = 2 ** 31 - 1
OK = b"\x88"                        # :status 200 in HPACK


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def field(name, value):
    return b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


def ask(stream, path="/", flags=END | END_HEADERS, **more):
    fields = {":method": "GET", ":scheme": "http", ":path": path, ":authority": "a", **more}
    return frame(HEADERS, flags, stream, b"".join(field(*f) for f in fields.items()))


class Frames(Client):
    """A connection; settings is the payload of its first frame."""

    def __init__(self, port=8080, settings=b"", rcvbuf=0):
        super().__init__(port, rcvbuf)
        self.send(PREFACE + frame(SETTINGS, 0, 0, settings))

    def frame(self):
        """(kind, flags, stream, payload) of the next one."""
        head = self.exactly(9)
        return head[3], head[4], int.from_bytes(head[5:9], "big"), self.exactly(int.from_bytes(head[:3], "big"))

    def until_frame(self, kind, flags=0):
        """The next of that kind with these flags; SETTINGS are acknowledged on the way."""
        while True:
            f = self.frame()
            if f[0] == SETTINGS and not f[1] & ACK:
                self.send(frame(SETTINGS, ACK, 0))
            if f[0] == kind and f[1] & flags == flags:
                return f

    def goaway(self):
        """(last stream, code) of the next GOAWAY."""
        payload = self.until_frame(GOAWAY)[3]
        return int.from_bytes(payload[:4], "big"), int.from_bytes(payload[4:8], "big")


class Asker:
    """A client as RFC 9113 6.8 wants it: what the last GOAWAY leaves out is asked again, elsewhere; nothing else is."""

    def __init__(self, port=8080, at_once=4):
        self.port, self.at_once, self.conn = port, at_once, None
        self.moved = self.again = 0

    def open(self):
        self.conn, self.stream, self.going = Frames(self.port), -1, False
        self.conn.send(frame(WINDOW, 0, 0, b"\x3f\0\0\0"))

    def ask(self, paths):
        """All are answered 200, or an AssertionError says what became of one."""
        todo = list(paths)
        while todo:
            if not self.conn or self.going:
                self.move()
            under_way = {}
            for path in todo[:self.at_once]:
                self.stream += 2
                under_way[self.stream] = path
            self.conn.send(b"".join(ask(i, p) for i, p in under_way.items()))
            left = self.hear(under_way)
            self.again += len(left)
            todo = left + todo[self.at_once:]

    def move(self):
        if self.conn:
            self.moved += 1
            self.conn.close()
        self.open()

    def hear(self, under_way):
        """Until all of these ended; the paths of those that the server did not look at."""
        left = []
        while under_way:
            try:
                kind, flags, stream, payload = self.conn.frame()
            except (EOFError, ConnectionResetError) as e:
                raise AssertionError(f"closed while {under_way} were under way: {e}") from e
            if kind == SETTINGS and not flags & ACK:
                self.conn.send(frame(SETTINGS, ACK, 0))
            elif kind == PING and not flags & ACK:
                self.conn.send(frame(PING, ACK, 0, payload))
            elif kind == GOAWAY:
                self.going = True
                last = int.from_bytes(payload[:4], "big")
                for i in [i for i in under_way if i > last]:
                    left.append(under_way.pop(i))
            elif kind == RST:
                assert payload == b"\0\0\0\x07", f"{under_way.get(stream)} was reset: {payload!r}"
                left.append(under_way.pop(stream))
            elif kind == HEADERS:
                assert payload[:1] == OK, f"{under_way.get(stream)} was answered {payload[:8]!r}"
            if kind in (HEADERS, DATA) and flags & END:
                del under_way[stream]
        return left

    def close(self):
        if self.conn:
            self.conn.close()
