# SPDX-License-Identifier: Apache-2.0
"""Frames of bolt v1 and v2, of Dubbo, and the hessian2 values in them: made and read byte by byte, by nothing of weft's.

	Bolt(REQUEST, id=7, version=2, crc=True, fields=[("service", "shop")], body=b"x").pack()     Bolt.read(stream)
	Dubbo(id=7, body=dubbo_call("shop", "buy", [b"x"], {"timeout": "100"})).pack()                Dubbo.read(stream)
	Pong("CALL", "shop", "buy", fields={"x": "y"}, body=b"x").pack()    Pong.read(stream)    of test/plugins/proto_pong.c
"""
import struct
import zlib

ANSWER, REQUEST, ONEWAY = 0, 1, 2
BEAT, CALL, REPLY, GOAWAY = 0, 1, 2, 100
SUCCESS, ERROR, EXCEPTION, UNKNOWN, BUSY, COMM, NO_PROCESSOR, TIMEOUT, SEND_ERROR, CODEC = range(10)
CONNECTION_CLOSED = 16
REQUEST_CLASS = "com.alipay.sofa.rpc.core.request.SofaRequest"
ANSWER_CLASS = "com.alipay.sofa.rpc.core.response.SofaResponse"


def text(s):
    return s if isinstance(s, bytes) else s.encode()


def pairs_pack(fields):
    """bolt's header map. None is written as length -1, as some peers do."""
    return b"".join(struct.pack(">i", -1) if s is None else struct.pack(">I", len(text(s))) + text(s)
                    for pair in fields for s in pair)


def pairs_read(data):
    words, at = [], 0
    while at < len(data):
        n = struct.unpack_from(">i", data, at)[0]
        words.append(None if n < 0 else data[at + 4:at + 4 + n].decode())
        at += 4 + max(n, 0)
    return list(zip(words[::2], words[1::2]))


class Bolt:
    """One frame. sizes, cut and crc_bits make wrong ones: lengths as they are to be written, and what is xored to the CRC."""

    def __init__(self, kind=REQUEST, id=1, cmd=None, version=1, crc=False, ver1=None, codec=1, timeout=3000, status=SUCCESS,
                 cls=None, fields=(), body=b"", head=None, sizes=None, crc_bits=0):
        self.kind, self.id, self.version, self.crc, self.codec = kind, id, version, crc, codec
        self.cmd = (CALL if kind else REPLY) if cmd is None else cmd
        self.ver1 = (2 if crc else 1) if ver1 is None else ver1
        self.timeout, self.status, self.fields, self.body = timeout, status, list(fields), body
        plain = self.cmd in (CALL, REPLY)
        self.cls = ((REQUEST_CLASS if kind else ANSWER_CLASS) if plain else "") if cls is None else cls
        self.head = pairs_pack(self.fields) if head is None else head
        self.sizes, self.crc_bits, self.crc_ok, self.raw = sizes, crc_bits, True, None

    def pack(self):
        cls = text(self.cls)
        out = struct.pack(">B", self.version)
        if self.version == 2:
            out += struct.pack(">B", self.ver1)
        out += struct.pack(">BHBIB", self.kind, self.cmd, 1, self.id, self.codec)
        if self.version == 2:
            out += struct.pack(">B", 1 if self.crc else 0)
        out += struct.pack(">i", self.timeout) if self.kind else struct.pack(">H", self.status)
        out += struct.pack(">HHI", *(self.sizes or (len(cls), len(self.head), len(self.body))))
        out += cls + self.head + self.body
        if self.version == 2 and self.ver1 == 2 and self.crc:
            out += struct.pack(">I", zlib.crc32(out) ^ self.crc_bits)
        return out

    @classmethod
    def read(cls, stream):
        f = cls()
        raw = stream.exactly(3)
        f.version = raw[0]
        assert f.version in (1, 2), f"no bolt frame begins with {raw.hex()}"
        two = f.version == 2
        f.kind = raw[2 if two else 1]
        raw += stream.exactly((24 if f.kind else 22) - 3 if two else (22 if f.kind else 20) - 3)
        f.ver1 = raw[1] if two else None
        at = 3 if two else 2
        f.cmd, ver2, f.id, f.codec = struct.unpack_from(">HBIB", raw, at)
        assert ver2 == 1, f"ver2 {ver2} in {raw.hex()}"
        f.crc = two and bool(raw[at + 8] & 1)
        at += 9 if two else 8
        if f.kind:
            f.timeout, = struct.unpack_from(">i", raw, at)
            at += 4
        else:
            f.status, = struct.unpack_from(">H", raw, at)
            at += 2
        sizes = struct.unpack_from(">HHI", raw, at)
        f.cls = stream.exactly(sizes[0]).decode()
        f.head = stream.exactly(sizes[1])
        f.body = stream.exactly(sizes[2])
        f.fields = pairs_read(f.head)
        raw += text(f.cls) + f.head + f.body
        if two and f.ver1 == 2 and f.crc:
            sum_ = stream.exactly(4)
            f.crc_ok = struct.unpack(">I", sum_)[0] == zlib.crc32(raw)
            raw += sum_
        f.raw = raw
        return f


OK, CLIENT_TIMEOUT, SERVER_TIMEOUT, BAD_REQUEST, NOT_FOUND = 20, 30, 31, 40, 60
SERVICE_ERROR, SERVER_ERROR, CLIENT_ERROR, EXHAUSTED = 70, 80, 90, 100


class Dubbo:
    """One frame. size is what is written as the length of the body, where it is to be wrong."""

    def __init__(self, request=True, id=1, twoway=True, event=False, status=0, serial=2, body=b"", size=None):
        self.request, self.id, self.twoway, self.event, self.status = request, id, twoway, event, status
        self.serial, self.body, self.size, self.raw = serial, body, size, None

    def pack(self):
        flags = (0x80 if self.request else 0) | (0x40 if self.twoway and self.request else 0) | (0x20 if self.event else 0)
        size = len(self.body) if self.size is None else self.size
        return struct.pack(">HBBQI", 0xdabb, flags | self.serial, self.status, self.id, size) + self.body

    @classmethod
    def read(cls, stream):
        raw = stream.exactly(16)
        magic, flags, status, number, size = struct.unpack(">HBBQI", raw)
        assert magic == 0xdabb, f"no Dubbo frame begins with {raw.hex()}"
        f = cls(bool(flags & 0x80), number, bool(flags & 0x40), bool(flags & 0x20), status, flags & 31, stream.exactly(size))
        f.raw = raw + f.body
        return f


def dubbo_call(service, method, args=(), attachments=None, version="0.0.0", group="", types=None):
    """A request's body, as Dubbo 2.7 writes it; a type that is not told is the argument's own."""
    kinds = {bytes: "[B", str: "Ljava/lang/String;", int: "I", bool: "Z", dict: "Ljava/util/Map;", list: "Ljava/util/List;"}
    types = "".join(kinds[type(a)] for a in args) if types is None else types
    extra = {"path": service, "interface": service, "version": version}
    if group:
        extra["group"] = group
    extra.update(attachments or {})
    return b"".join(map(hessian, ["2.0.2", service, version, method, types, *args, extra]))


def dubbo_call_read(body):
    """service, version, method, types, arguments, attachments; hessian2 values to the end of the body."""
    h = Hessian(body)
    _, service, version, method, types = (h.value() for _ in range(5))
    rest = []
    while not h.at_end():
        rest.append(h.value())
    return service, version, method, types, rest[:-1], rest[-1] or {}


def dubbo_value(value=None, attachments=None, exception=False):
    """The body of an answer with status 20."""
    kind = 0 if exception else 2 if value is None else 1
    out = hessian(kind + (3 if attachments is not None else 0))
    if kind != 2:
        out += hessian(value)
    return out + (hessian(attachments) if attachments is not None else b"")


def dubbo_value_read(body):
    """kind 0 exception, 1 value, 2 null; the value; the attachments."""
    h = Hessian(body)
    kind = h.value()
    value = None if kind % 3 == 2 else h.value()
    return kind % 3, value, h.value() if kind >= 3 else {}


def hessian(v):
    """One value of hessian2."""
    if v is None:
        return b"N"
    if v is True or v is False:
        return b"T" if v else b"F"
    if isinstance(v, int):
        return bytes([0x90 + v]) if -16 <= v <= 47 else b"I" + struct.pack(">i", v) if -1 << 31 <= v < 1 << 31 else \
            b"L" + struct.pack(">q", v)
    if isinstance(v, float):
        return b"D" + struct.pack(">d", v)
    if isinstance(v, (bytes, bytearray)):
        return hessian_chunks(bytes(v), b"A", b"B", lambda p: len(p), lambda p: bytes(p), 0x20, 15)
    if isinstance(v, str):
        return hessian_chunks(v, b"R", b"S", units, lambda p: p.encode(), 0, 31)
    if isinstance(v, dict):
        return b"H" + b"".join(hessian(k) + hessian(x) for k, x in v.items()) + b"Z"
    if isinstance(v, (list, tuple)):
        return b"X" + hessian(len(v)) + b"".join(map(hessian, v))
    raise TypeError(type(v))


def units(s):
    """Strings are as long as they are in UTF-16."""
    return len(s.encode("utf-16-be")) // 2


def hessian_chunks(v, more, last, length, encode, short, short_max):
    out = b""
    while len(v) > 32000:
        out += more + struct.pack(">H", length(v[:16000])) + encode(v[:16000])
        v = v[16000:]
    n = length(v)
    return out + (bytes([short + n]) if n <= short_max else last + struct.pack(">H", n)) + encode(v)


class Hessian:
    """Values of hessian2, read one after the other. An object is a dict with its class as "class"."""

    def __init__(self, data):
        self.data, self.at, self.types, self.classes, self.made = data, 0, [], [], []

    def at_end(self):
        return self.at >= len(self.data)

    def take(self, n):
        d = self.data[self.at:self.at + n]
        assert len(d) == n, "hessian2 ends in the middle of a value"
        self.at += n
        return d

    def number(self, fmt):
        return struct.unpack(fmt, self.take(struct.calcsize(fmt)))[0]

    def ended(self):
        if self.data[self.at:self.at + 1] != b"Z":
            return False
        self.at += 1
        return True

    def kept(self, v):
        self.made.append(v)
        return v

    def value(self):
        c = self.take(1)[0]
        if c in b"NTF":
            return {78: None, 84: True, 70: False}[c]
        for read in (self.whole, self.real, self.chunks, self.several):
            v = read(c)
            if v is not NotImplemented:
                return v
        raise ValueError(f"hessian2 has no value that begins with {c:#x}")

    def whole(self, c):
        for low, high, zero, more in ((0x80, 0xbf, 0x90, 0), (0xc0, 0xcf, 0xc8, 1), (0xd0, 0xd7, 0xd4, 2),
                                      (0xd8, 0xef, 0xe0, 0), (0xf0, 0xff, 0xf8, 1), (0x38, 0x3f, 0x3c, 2)):
            if low <= c <= high:
                return (c - zero << 8 * more) + int.from_bytes(self.take(more), "big")
        if c in b"IYLJK":
            return self.number({73: ">i", 89: ">i", 76: ">q", 74: ">q", 75: ">i"}[c])
        return NotImplemented

    def real(self, c):
        if c in (0x5b, 0x5c):
            return float(c - 0x5b)
        if c in b"]^_D":
            n = self.number({0x5d: ">b", 0x5e: ">h", 0x5f: ">i", 0x44: ">d"}[c])
            return n / 1000 if c == 0x5f else float(n)
        return NotImplemented

    def chunks(self, c):
        binary = 0x20 <= c <= 0x2f or 0x34 <= c <= 0x37 or c in b"AB"
        out = b"" if binary else ""
        while True:
            if c <= 0x1f or 0x20 <= c <= 0x2f:
                n, last = c & 0x1f if c <= 0x1f else c & 0xf, True
            elif 0x30 <= c <= 0x37:
                n, last = ((c & 3) << 8) + self.take(1)[0], True
            elif c in b"SRAB":
                n, last = self.number(">H"), c in b"SB"
            else:
                return NotImplemented
            out += self.take(n) if binary else self.chars(n)
            if last:
                return out
            c = self.take(1)[0]

    def chars(self, n):
        start = self.at
        if self.data[start:start + n].isascii():
            return self.take(n).decode()
        while n > 0:
            b = self.take(1)[0]
            size = 1 if b < 0x80 else 2 if b < 0xe0 else 3 if b < 0xf0 else 4
            self.take(size - 1)
            n -= 2 if size == 4 else 1
        s = self.data[start:self.at].decode("utf-8", "surrogatepass")
        return s.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def type(self):
        v = self.value()
        if isinstance(v, int):
            return self.types[v]
        self.types.append(v)
        return v

    def several(self, c):
        if c == 0x51:
            return self.made[self.value()]
        if c in b"HM":
            kind, out = self.type() if c == 0x4d else None, self.kept({})
            while not self.ended():
                key = self.value()
                out[key] = self.value()
            return out
        if c == 0x43:
            self.classes.append((self.value(), [self.value() for _ in range(self.value())]))
            return self.value()
        if c == 0x4f or 0x60 <= c <= 0x6f:
            name, fields = self.classes[self.value() if c == 0x4f else c - 0x60]
            out = self.kept({"class": name})
            for f in fields:
                out[f] = self.value()
            return out
        return self.many(c)

    def many(self, c):
        if not (c in (0x55, 0x56, 0x57, 0x58) or 0x70 <= c <= 0x7f):
            return NotImplemented
        if c in (0x55, 0x56) or 0x70 <= c <= 0x77:
            self.type()
        out = self.kept([])
        if c in (0x55, 0x57):
            while not self.ended():
                out.append(self.value())
            return out
        for _ in range(self.value() if c in (0x56, 0x58) else c & 7):
            out.append(self.value())
        return out


class Pong:
    """One line, and the body of a call or an answer; words are what stands before its length."""
    BODIES = "CALL", "TELL", "ANSWER"

    def __init__(self, *words, fields=(), body=b""):
        self.words, self.fields, self.body, self.id, self.raw = [str(w) for w in words], dict(fields), body, 0, b""

    def pack(self):
        tail = [str(len(self.body))] + [f"{k}={v}" for k, v in self.fields.items()] if self.words[0] in self.BODIES else []
        return " ".join(self.words + tail).encode() + b"\n" + self.body

    @staticmethod
    def read(stream):
        line = stream.until(b"\n")
        words = line.decode().split(" ")
        if words[0] not in Pong.BODIES:
            f = Pong(*words)
        else:
            n = 2 if words[0] == "ANSWER" else 3
            f = Pong(*words[:n], fields=[w.split("=", 1) for w in words[n + 1:]], body=stream.exactly(int(words[n])))
        f.raw = line + b"\n" + f.body
        return f
