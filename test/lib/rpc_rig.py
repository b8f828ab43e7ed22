# SPDX-License-Identifier: Apache-2.0
"""Hosts and clients of bolt, Dubbo and the plugin pong by raw frames, both ends of a proxy in one process. Beside http_rig.

	host = BoltHost(9001, name="a")             # echoes, and says who it is in header "host", unless host.on[method] = fn(call)
	c = BoltClient(8080)                        # BoltClient(8080, version=2, crc=True); DubboHost and DubboClient likewise
	a = c.ask("shop", "buy", b"body", fields={"x": "y"})        # a.status, a.body, a.fields, a.frame
	i = c.call(...); a = c.answer(i)            # many at once, in any order; c.send(BYTES) is anything

fn of a host: echo, status(n), hold, silent, hang_up, cut(n); a call also asks for what it wants itself, by header
"want-status". What hold took is answered by host.let_go(). Counted: host.calls, .oneways, .beats (heartbeats that came),
.acks (answers to host.beat()), .gone; a number that is used twice at once on one connection is in host.wrong.
Methods of a service need no name: fn of host.on[""] does for all that have no other.
"""
import socket

from http_rig import *
from rpc_wire import *


class Call:
    """A request that came to a host; answered once, by any thread."""

    def __init__(self, host, conn, frame, service, method, fields, body, timeout, oneway):
        self.host, self.conn, self.frame, self.service, self.method = host, conn, frame, service, method
        self.fields, self.body, self.timeout, self.oneway = dict(fields), body, timeout, oneway
        self.id = frame.id

    def answer(self, status=None, body=None, fields=None):
        if self.oneway:
            return
        self.conn.live.discard(self.id)         # the next one with this number may come as soon as it is sent
        self.conn.send(self.host.reply(self, status, self.body if body is None else body,
                                       {"host": self.host.name} if fields is None else fields))

    def packed(self):
        """The bytes of the echo."""
        return self.host.reply(self, None, self.body, {"host": self.host.name})


def echo(call):
    want = call.fields.get("want-status")
    call.answer(int(want) if want else None)


def status(n, body=b""):
    return lambda call: call.answer(n, body)


def hold(call):
    with changed:
        call.host.held.append(call)
        changed.notify_all()


def silent(call):
    pass


def hang_up(call):
    return "close"


def cut(n):
    """The first n bytes of an answer, and no more of this connection."""
    def fn(call):
        call.conn.send(call.packed()[:n])
        return "close"
    return fn


class Line(Stream):
    """One side of a connection; frames are sent whole, by any thread."""

    def __init__(self, sock):
        super().__init__(sock)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.lock, self.live = threading.Lock(), set()

    def send(self, data):
        with self.lock:
            super().send(data)


class RpcHost(Host):
    """calls: all that came, in order, oneways too; lines: connections that live. tls: an ssl.SSLContext of a server."""

    def __init__(self, port, name=None, tls=None, answers_beats=True, address="127.0.0.1"):
        self.name, self.tls, self.answers_beats = name or str(port), tls, answers_beats
        self.calls, self.held, self.lines, self.wrong = [], [], [], []
        self.beats, self.acks, self.gone = 0, 0, 0
        self.nonsense = False   # heartbeats are answered by it
        super().__init__(port, address)

    def serve(self, c, number):
        line = None
        try:
            line = Line(self.tls.wrap_socket(c.sock, server_side=True) if self.tls else c.sock)
            line.number = number
            with changed:
                self.lines.append(line)
                changed.notify_all()
            line.sock.settimeout(None)
            while self.took(line, self.frame.read(line)) != "close":
                pass
        except (EOFError, OSError):
            pass
        except (AssertionError, ValueError, struct.error) as e:
            self.wrong.append(f"{type(e).__name__}: {e}")
        finally:
            (line or c).close()
            with changed:
                if line in self.lines:
                    self.lines.remove(line)
                self.open -= 1
                changed.notify_all()

    def took(self, line, frame):
        if not self.is_call(frame):
            return self.aside(line, frame)
        call = self.read(line, frame)
        with changed:
            if not call.oneway:
                if call.id in line.live:
                    self.wrong.append(f"number {call.id} is used twice at once")
                line.live.add(call.id)
            self.calls.append(call)
            changed.notify_all()
        return (self.on.get(call.method) or self.on.get("") or echo)(call)

    def count(self, name):
        with changed:
            setattr(self, name, getattr(self, name) + 1)
            changed.notify_all()

    @property
    def oneways(self):
        return [c for c in self.calls if c.oneway]

    def methods(self):
        return [c.method for c in self.calls]

    def forget(self):
        with changed:
            self.calls.clear()

    def let_go(self, **answer):
        """Answers what was held, the last one first."""
        with changed:
            held, self.held = self.held, []
        for call in reversed(held):
            try:
                call.answer(**answer)
            except OSError:     # its connection is gone
                pass

    def tell(self, frame):
        """Over each connection; one may be on its way to its end."""
        for line in list(self.lines):
            try:
                line.send(frame)
            except OSError:
                pass

    def beat(self):
        """A heartbeat from this side over each connection."""
        self.tell(self.beat_frame())

    def goaway(self):
        """Asks for no more calls on each connection that lives now."""
        self.tell(self.goaway_frame())


class BoltHost(RpcHost):
    frame = Bolt

    def is_call(self, f):
        if not f.crc_ok:
            self.wrong.append(f"CRC of {f.raw[:32].hex()}")
        return f.kind != ANSWER and f.cmd == CALL

    def read(self, line, f):
        names = dict(f.fields)
        service = names.get("service") or names.get("sofa_head_target_service") or f.cls
        return Call(self, line, f, service, names.get("sofa_head_method_name", ""), f.fields, f.body, f.timeout, f.kind == ONEWAY)

    def reply(self, call, status, body, fields):
        q = call.frame
        return Bolt(ANSWER, call.id, version=q.version, crc=q.crc, ver1=q.ver1, codec=q.codec, status=status or SUCCESS,
                    fields=fields.items(), body=body).pack()

    def aside(self, line, f):
        if f.cmd == BEAT and f.kind == ANSWER:
            self.count("acks")
        elif f.cmd == BEAT:
            self.count("beats")
            if self.nonsense:
                line.send(b"\xffnonsense" * 10)
            elif self.answers_beats:
                line.send(Bolt(ANSWER, f.id, BEAT, f.version, f.crc, f.ver1).pack())
        elif f.cmd == GOAWAY:
            self.count("gone")
        else:
            self.wrong.append(f"a host got {f.raw[:32].hex()}")

    def beat_frame(self):
        return Bolt(REQUEST, 1 << 31, BEAT, timeout=-1).pack()

    def goaway_frame(self):
        return Bolt(REQUEST, 1, GOAWAY, timeout=0).pack()


class DubboHost(RpcHost):
    """Answers the one argument that it got; its service is "group/interface:version" without what is empty."""
    frame = Dubbo

    def is_call(self, f):
        return f.request and not f.event

    def read(self, line, f):
        service, version, method, types, args, extra = dubbo_call_read(f.body)
        group = extra.get("group")
        name = (group + "/" if group else "") + service + (":" + version if version and version != "0.0.0" else "")
        call = Call(self, line, f, name, method, extra, args[0] if args else None, int(extra.get("timeout", 0)), not f.twoway)
        call.types, call.args = types, args
        return call

    def reply(self, call, status, body, fields):
        if status and status != OK:
            told = body if isinstance(body, str) else "status %d" % status
            return Dubbo(False, call.id, status=status, body=hessian(told)).pack()
        return Dubbo(False, call.id, status=OK, body=dubbo_value(body, fields)).pack()

    def aside(self, line, f):
        if not f.request:
            self.count("acks")
        elif Hessian(f.body).value() == "R":
            self.count("gone")
        else:
            self.count("beats")
            if self.nonsense:
                line.send(b"\xffnonsense" * 10)
            elif self.answers_beats and f.twoway:
                line.send(Dubbo(False, f.id, event=True, status=OK, body=b"N").pack())

    def beat_frame(self):
        return Dubbo(True, 1 << 31, event=True, body=b"N").pack()

    def goaway_frame(self):
        return Dubbo(True, 1, twoway=False, event=True, body=hessian("R")).pack()


class PongHost(RpcHost):
    """Calls have no numbers: a second one before the answer to the first is in host.wrong."""
    frame = Pong

    def is_call(self, f):
        return f.words[0] in ("CALL", "TELL")

    def read(self, line, f):
        return Call(self, line, f, f.words[1], f.words[2], f.fields, f.body, int(f.fields.get("timeout", 0)), f.words[0] == "TELL")

    def reply(self, call, status, body, fields):
        return Pong("ANSWER", status or 0, fields=fields, body=body).pack()

    def aside(self, line, f):
        if f.words[0] == "PONG":
            self.count("acks")
        elif f.words[0] == "BYE":
            self.count("gone")
        elif f.words[0] == "PING":
            self.count("beats")
            if self.nonsense:
                line.send(b"\xffnonsense\n" * 10)
            elif self.answers_beats:
                line.send(b"PONG\n")
        else:
            self.wrong.append(f"a host got {f.raw[:40]}")

    def beat_frame(self):
        return b"PING\n"

    def goaway_frame(self):
        return b"BYE\n"


class Answer:
    def __init__(self, status, body, fields, frame):
        self.status, self.body, self.fields, self.frame = status, body, dict(fields), frame

    @property
    def host(self):
        return self.fields.get("host")


class RpcClient(Line):
    """answers: those that came and were not asked for yet; acks and gone: answers to beat(), words that say "no more"."""

    def __init__(self, port=8080, tls=None, name=None, address="127.0.0.1"):
        s = socket.create_connection((address, port), LIMIT)
        super().__init__(tls.wrap_socket(s, server_hostname=name) if tls else s)
        self.next, self.answers, self.acks, self.gone, self.beats = 1, {}, 0, 0, 0

    def call(self, service="", method="", body=b"", fields=(), timeout=3000, oneway=False, **more):
        """Sends, and gives the number; more is the frame's own, id= among it."""
        number = more.pop("id", self.next)
        self.next = max(self.next, number) + 1
        self.send(self.made(number, service, method, body, dict(fields), timeout, oneway, **more))
        return number

    def ask(self, *args, **more):
        return self.answer(self.call(*args, **more))

    def answer(self, number):
        while number not in self.answers:
            self.step()
        return self.answers.pop(number)

    def step(self):
        """Reads one frame."""
        f = self.frame.read(self)
        if self.is_answer(f):
            assert f.id not in self.answers, f"two answers to {f.id}"
            self.answers[f.id] = self.read(f)
        else:
            self.aside(f)

    def beat(self, number=99):
        """A heartbeat and its answer."""
        was = self.acks
        self.send(self.beat_frame(number))
        while self.acks == was:
            self.step()


class BoltClient(RpcClient):
    frame = Bolt

    def __init__(self, port=8080, version=1, crc=False, **more):
        super().__init__(port, **more)
        self.version, self.crc = version, crc

    def made(self, number, service, method, body, fields, timeout, oneway, **more):
        names = [("service", service), ("sofa_head_target_service", service)] if service else []
        names += [("sofa_head_method_name", method)] if method else []
        more.setdefault("fields", names + list(fields.items()))
        return Bolt(ONEWAY if oneway else REQUEST, number, version=self.version, crc=self.crc, timeout=timeout, body=body,
                    **more).pack()

    def is_answer(self, f):
        assert f.crc_ok, f"CRC of {f.raw[:32].hex()}"
        return f.kind == ANSWER and f.cmd == REPLY

    def read(self, f):
        return Answer(f.status, f.body, f.fields, f)

    def beat_frame(self, number):
        return Bolt(REQUEST, number, BEAT, self.version, timeout=-1).pack()

    def aside(self, f):
        if f.cmd == BEAT and f.kind == ANSWER:
            self.acks += 1
        elif f.cmd == BEAT:
            self.beats += 1
            self.send(Bolt(ANSWER, f.id, BEAT, f.version, f.crc, f.ver1).pack())
        else:
            assert f.cmd == GOAWAY, f.raw[:32].hex()
            self.gone += 1


class DubboClient(RpcClient):
    """service is an interface, or "group/interface:version". body is the one argument; args= are several."""
    frame = Dubbo

    def made(self, number, service, method, body, fields, timeout, oneway, args=None, types=None, **more):
        group, _, name = service.rpartition("/")
        name, _, version = name.partition(":")
        if timeout and "timeout" not in fields:
            fields["timeout"] = str(timeout)
        whole = dubbo_call(name, method, [body] if args is None else args, fields, version or "0.0.0", group, types)
        return Dubbo(True, number, twoway=not oneway, **{"body": whole, **more}).pack()

    def is_answer(self, f):
        return not f.request and not f.event

    def read(self, f):
        """The body of an error is its message; .kind 0 exception, 1 value, 2 null."""
        if f.status != OK:
            return Answer(f.status, Hessian(f.body).value(), {}, f)
        kind, value, extra = dubbo_value_read(f.body)
        a = Answer(f.status, value, extra, f)
        a.kind = kind
        return a

    def beat_frame(self, number):
        return Dubbo(True, number, event=True, body=b"N").pack()

    def aside(self, f):
        if not f.request:
            self.acks += 1
        elif Hessian(f.body).value() == "R":
            self.gone += 1
        else:
            self.beats += 1
            if f.twoway:
                self.send(Dubbo(False, f.id, event=True, status=OK, body=b"N").pack())


class PongClient(RpcClient):
    """Answers come in the order of calls; their numbers are only ours."""
    frame = Pong

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.asked = []

    def made(self, number, service, method, body, fields, timeout, oneway):
        if not oneway:
            self.asked.append(number)
        return Pong("TELL" if oneway else "CALL", service, method, fields={"timeout": timeout, **fields}, body=body).pack()

    def is_answer(self, f):
        return f.words[0] == "ANSWER"

    def read(self, f):
        return Answer(int(f.words[1]), f.body, f.fields, f)

    def step(self):
        f = self.frame.read(self)
        if self.is_answer(f):
            self.answers[self.asked.pop(0)] = self.read(f)
        else:
            self.aside(f)

    def beat_frame(self, number):
        return b"PING\n"

    def aside(self, f):
        if f.words[0] == "PONG":
            self.acks += 1
        elif f.words[0] == "PING":
            self.beats += 1
            self.send(b"PONG\n")
        else:
            assert f.words[0] == "BYE", f.raw[:40]
            self.gone += 1


PEERS = {"bolt": (BoltHost, BoltClient), "dubbo": (DubboHost, DubboClient), "pong": (PongHost, PongClient)}
BUSY_WORD = {"bolt": BUSY, "dubbo": EXHAUSTED, "pong": 2}
GOOD_WORD = {"bolt": SUCCESS, "dubbo": OK, "pong": 0}
