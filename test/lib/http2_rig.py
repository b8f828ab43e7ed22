# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 by raw frames, both ends: a host that does what the case says, and a client. Beside http_rig.

	host = Host2(9001)                  # answers 200 with what it saw, unless host.on[path] = fn(conn, request)
	host.hello = fn(conn)               # instead of its first SETTINGS
	c = Client2(8080); s = c.ask("/x"); r = c.answer(s)

A host's requests are those whose head came, in order: each is one attempt. fn is called when the request has ended, fn of
"early PATH" when its head came; frames are sent by conn.send(frame(...)) and conn.reply().
"""
import hpack
from http_rig import *

DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END, ENDED_HEAD, ACK = 1, 4, 1
NO_ERROR, PROTOCOL, INTERNAL, FLOW, TIMEOUT, CLOSED, SIZE, REFUSED, CANCEL, COMPRESSION, CONNECT, CALM = range(12)
MAX_STREAMS, FIRST_WINDOW, CONNECT_PROTOCOL = 3, 4, 8
MAGIC = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags=0, stream=0, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def settings(**values):
    ids = {"streams": MAX_STREAMS, "window": FIRST_WINDOW, "connect": CONNECT_PROTOCOL}
    return frame(SETTINGS, 0, 0, b"".join(ids[k].to_bytes(2, "big") + v.to_bytes(4, "big") for k, v in values.items()))


def rst(stream, code):
    return frame(RST, 0, stream, code.to_bytes(4, "big"))


def goaway(last, code=NO_ERROR):
    return frame(GOAWAY, 0, 0, last.to_bytes(4, "big") + code.to_bytes(4, "big"))


def window(stream, n):
    return frame(WINDOW, 0, stream, n.to_bytes(4, "big"))


class Request2:
    def __init__(self, stream, fields, conn):
        self.stream, self.fields, self.conn = stream, fields, conn
        self.body, self.trailers, self.ended, self.reset = bytearray(), [], False, None

    @property
    def path(self):
        return one(self.fields, ":path")

    @property
    def method(self):
        return one(self.fields, ":method")

    def get(self, name):
        return [v for k, v in self.fields if k == name]


class Wire(Stream):
    """Frames over a socket, each head with its stream's fields. Credits what it reads, unless told not to."""

    def __init__(self, sock):
        super().__init__(sock)
        # Windows are small packets: with Nagle each waits for the one before.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.decoder, self.encoder = hpack.Decoder(), hpack.Encoder()
        self.lock, self.credit = threading.RLock(), True
        self.tx, self.first_window, self.gone = {0: 65535}, 65535, set()
        self.room = threading.Condition(self.lock)

    def send(self, data):
        with self.lock:
            super().send(data)

    def frame(self):
        head = self.exactly(9)
        payload = self.exactly(int.from_bytes(head[:3], "big"))
        return head[3], head[4], int.from_bytes(head[5:9], "big") & 0x7fffffff, payload

    def fields(self, flags, payload, kind=HEADERS):
        if flags & 8:
            payload = payload[1:len(payload) - payload[0]]
        if flags & 32:
            payload = payload[5:]
        while not flags & ENDED_HEAD:
            _, flags, _, more = self.frame()
            payload += more
        return [(k.decode() if isinstance(k, bytes) else k, v.decode("latin-1") if isinstance(v, bytes) else v)
                for k, v in self.decoder.decode(payload, raw=True)]

    def head(self, stream, fields, flags=0):
        with self.lock:
            self.send(frame(HEADERS, flags | ENDED_HEAD, stream, self.encoder.encode(fields, huffman=False)))

    def data(self, stream, body, end=True):
        """As far as the peer's windows allow, waiting for more."""
        view, at = memoryview(body), 0
        while True:
            with self.room:
                self.tx.setdefault(stream, self.first_window)
                n = min(len(view) - at, 16384, self.tx[0], self.tx[stream])
                if stream in self.gone:
                    raise ConnectionResetError("stream was reset")
                if n <= 0 and at < len(view):
                    assert self.room.wait(LIMIT), "no window in time"
                    continue
                self.tx[0] -= n
                self.tx[stream] -= n
                last = at + n == len(view)
                self.send(frame(DATA, END if end and last else 0, stream, bytes(view[at:at + n])))
            at += n
            if last:
                return

    def left(self, stream):
        with self.room:
            self.gone.add(stream)
            self.room.notify_all()

    def housekeeping(self, kind, flags, stream, payload):
        """True: it was a frame of the connection's own."""
        if kind == SETTINGS and not flags & ACK:
            with self.room:
                for i in range(0, len(payload), 6):
                    if int.from_bytes(payload[i:i + 2], "big") == FIRST_WINDOW:
                        v = int.from_bytes(payload[i + 2:i + 6], "big")
                        for k in self.tx:
                            self.tx[k] += v - self.first_window if k else 0
                        self.first_window = v
                self.room.notify_all()
            self.asked()
        elif kind == PING and not flags & ACK:
            self.pinged(payload)
        elif kind == WINDOW:
            with self.room:
                self.tx[stream] = self.tx.get(stream, self.first_window) + int.from_bytes(payload, "big")
                self.room.notify_all()
        elif kind not in (SETTINGS, PING):
            return False
        return True

    def pinged(self, payload):
        self.send(frame(PING, ACK, 0, payload))

    def asked(self):
        """SETTINGS came."""
        self.send(frame(SETTINGS, ACK))

    def took(self, stream, n, ended=False):
        if self.credit and n:
            self.send(window(0, n) + (b"" if ended else window(stream, n)))


class Conn2(Wire):
    """A host's side of a connection. requests: its own, by stream."""

    def __init__(self, host, sock, number):
        super().__init__(sock)
        self.host, self.number, self.requests, self.goaway, self.pings = host, number, {}, None, 0
        self.settings = 0

    def reply(self, r, body=b"ok", status=200, headers=(), trailers=()):
        fields = [(":status", str(status)), *headers]
        none = not body and not trailers
        self.head(r.stream, fields, END if none else 0)
        if body or trailers:
            self.data(r.stream, body, not trailers) if body else None
        if trailers:
            self.head(r.stream, list(trailers), END)

    def pinged(self, payload):
        self.pings += 1
        if not self.host.deaf:
            super().pinged(payload)

    def asked(self):
        self.settings += 1
        self.host.news()
        if self.settings == 1 or not self.host.mute:
            super().asked()

    def serve(self):
        if self.exactly(len(MAGIC)) != MAGIC:
            return
        self.host.hello(self)
        while True:
            kind, flags, stream, payload = self.frame()
            if kind == HEADERS:
                self.headers(flags, stream, self.fields(flags, payload))
            elif kind == DATA:
                self.body(flags, stream, payload)
            elif kind == RST:
                r = self.requests.get(stream)
                if r:
                    r.reset = int.from_bytes(payload, "big")
                self.left(stream)
                self.host.news()
            elif kind == GOAWAY:
                self.goaway = int.from_bytes(payload[4:8], "big")
                self.host.news()
            else:
                self.housekeeping(kind, flags, stream, payload)

    def headers(self, flags, stream, fields):
        r = self.requests.get(stream)
        if r:
            r.trailers = fields
        else:
            r = self.requests[stream] = Request2(stream, fields, self)
            r.head_ended = bool(flags & END)
            self.host.came(r)
            early = self.host.on.get("early " + (r.path or ""))
            if early:
                early(self, r)
        if flags & END:
            self.end(r)

    def body(self, flags, stream, payload):
        r = self.requests[stream]
        r.body += payload
        r.got = len(r.body)
        self.took(stream, len(payload), flags & END)
        self.host.news()
        if flags & END:
            self.end(r)

    def end(self, r):
        r.ended = True
        self.host.news()
        fn = self.host.on.get(r.path, None if self.host.on.get("early " + (r.path or "")) else seen)
        if fn:
            # Its own thread: it may wait for windows, and for the case.
            threading.Thread(target=self.run, args=(fn, r), daemon=True).start()

    def run(self, fn, r):
        try:
            fn(self, r)
        except OSError:
            pass


def seen(c, r):
    c.reply(r, json.dumps({"method": r.method, "path": r.path, "fields": r.fields, "body": len(r.body), "stream": r.stream,
                           "conn": c.number, "trailers": r.trailers}).encode())


class Host2(Host):
    """requests: every head that came; conns: connections so far; all: each of them."""

    def __init__(self, port):
        self.all, self.deaf, self.mute = [], False, False       # deaf: PING is not answered; mute: nor SETTINGS after the first
        self.hello = lambda c: c.send(settings())
        super().__init__(port)

    def news(self):
        with self.lock:
            changed.notify_all()

    def start_over(self):
        """No connection that a case before has left behind: the proxy closes each behind its FIN."""
        for c in self.all:
            try:
                c.sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        eventually(lambda: self.open == 0)
        self.forget()
        self.all.clear()
        self.conns = 0

    def serve(self, c, number):
        conn = Conn2(self, c.sock, number)
        self.all.append(conn)
        try:
            conn.serve()
        except (EOFError, OSError):
            pass
        finally:
            conn.close()
            with self.lock:
                self.open -= 1
                changed.notify_all()


class Answer:
    def __init__(self):
        self.fields, self.body, self.trailers, self.interim, self.reset, self.ended = [], bytearray(), [], [], None, False

    @property
    def status(self):
        return int(one(self.fields, ":status") or 0)

    def get(self, name):
        return one(self.fields, name)

    def json(self):
        return json.loads(self.body)


class Client2(Wire):
    """A client's side. Reads in a thread of its own."""

    def __init__(self, port=8080, **values):
        s = socket.create_connection(("127.0.0.1", port), LIMIT)
        super().__init__(s)
        self.answers, self.next, self.goaway, self.over = {}, 1, None, False
        self.theirs = {}
        self.send(MAGIC + settings(**values))
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        try:
            while True:
                self.heard(*self.frame())
        except (EOFError, OSError, ValueError):
            self.over = True
        with changed:
            changed.notify_all()

    def heard(self, kind, flags, stream, payload):
        if kind == SETTINGS and not flags & ACK:
            for i in range(0, len(payload), 6):
                self.theirs[int.from_bytes(payload[i:i + 2], "big")] = int.from_bytes(payload[i + 2:i + 6], "big")
        if kind == GOAWAY:
            self.goaway = (int.from_bytes(payload[:4], "big"), int.from_bytes(payload[4:8], "big"))
        elif kind in (HEADERS, DATA, RST):
            a = self.answers.setdefault(stream, Answer())
            if kind == HEADERS:
                fields = self.fields(flags, payload)
                if one(fields, ":status", ) is None:
                    a.trailers = fields
                elif int(one(fields, ":status")) < 200:
                    a.interim.append(fields)
                else:
                    a.fields = fields
            elif kind == DATA:
                a.body += payload
                self.took(stream, len(payload), flags & END)
            else:
                a.reset = int.from_bytes(payload, "big")
                self.left(stream)
            a.ended |= bool(kind != RST and flags & END)
        else:
            self.housekeeping(kind, flags, stream, payload)
        with changed:
            changed.notify_all()

    def ask(self, path="/", method="GET", body=None, headers=(), end=True, authority="a.example"):
        """Its stream. body None: the head ends it, unless end says no."""
        with self.lock:
            stream, self.next = self.next, self.next + 2
            self.answers[stream] = Answer()
            fields = [(":method", method), (":scheme", "http"), (":path", path), (":authority", authority), *headers]
            self.head(stream, fields, END if body is None and end else 0)
        if body is not None:
            self.data(stream, body, end)
        return stream

    def answer(self, stream):
        a = self.answers[stream]
        eventually(lambda: a.ended or a.reset is not None or self.over)
        return a

    def get(self, path="/", **more):
        return self.answer(self.ask(path, **more))
