# SPDX-License-Identifier: Apache-2.0
"""TLS whose records the kernel makes (`kernel: auto`), both ways through the real weftd: test/vm runs it on kernels that have
it, test/net on this one, which may not: then all is the same but for who did it, which is counted.

	tls_kernel.py config CERTIFICATES > weft.yaml
	tls_kernel.py cases CERTIFICATES        # with weftd on it
	tls_kernel.py files                     # what an interpreter needs for the cases, one a line
"""
import collections
import contextlib
import errno
import functools
import hashlib
import json
import os
import random
import socket
import ssl
import subprocess
import sys
import threading

from daemon import admin, metric
from http_rig import Client, Host, answer, case, eventually, is_, run

CERTS = os.path.abspath(sys.argv[2]) if len(sys.argv) > 2 else ""
IDENTITY = "spiffe://td.example/ns/a/sa/client"
SIZES = (1, 1000, 16384, 16385, 65537, 600000)
MUCH, LARGE = 1 << 20, 10 << 20

CONFIG = """
workers: 1
kernel: {mode: "off"}
listeners:
- {name: secure, address: "127.0.0.1:8443", protocol: http, routes: [plain], tls: {kernel: auto, certificates: [WEB]}}
- {name: either, address: "127.0.0.1:8444", protocol: http, routes: [plain], tls: {kernel: auto, mode: permissive, certificates: [WEB]}}
- {name: mutual, address: "127.0.0.1:8445", protocol: http, routes: [plain], tls: {kernel: auto, certificates: [WEB],
    clientCA: DIR/ca.crt, requireClientCertificate: true, sans: ["IDENTITY"]}}
- {name: stream, address: "127.0.0.1:8446", protocol: tcp, rules: [{backends: [{cluster: stream}]}], tls: {kernel: auto, certificates: [WEB]}}
- {name: headed, address: "127.0.0.1:8447", protocol: http, routes: [plain], tls: {kernel: auto, certificates: [WEB]},
    trusted: [127.0.0.0/8], netFilters: [{type: proxy-protocol}]}
- {name: itself, address: "127.0.0.1:8448", protocol: http, routes: [plain], tls: {certificates: [WEB]}}
- {name: out, address: "127.0.0.1:8080", protocol: http, routes: [out]}
- {name: out13, address: "127.0.0.1:8081", protocol: tcp, rules: [{backends: [{cluster: stream13}]}]}
- {name: out12, address: "127.0.0.1:8082", protocol: tcp, rules: [{backends: [{cluster: stream12}]}]}
routes:
- {name: plain, rules: [{backends: [{cluster: plain}]}]}
- name: out
  rules:
  - {matches: [{headers: [{name: to, value: "13"}]}], backends: [{cluster: tls13}]}
  - {matches: [{headers: [{name: to, value: "12"}]}], backends: [{cluster: tls12}]}
  - {matches: [{headers: [{name: to, value: mesh}]}], backends: [{cluster: mesh}]}
clusters:
- {name: plain, endpoints: [{address: "127.0.0.1:9001"}]}
- {name: stream, endpoints: [{address: "127.0.0.1:9002"}]}
- {name: tls13, endpoints: [{address: "127.0.0.1:9413"}], tls: {kernel: auto, sni: web.example, trustedCA: DIR/ca.crt}}
- {name: tls12, endpoints: [{address: "127.0.0.1:9412"}], tls: {kernel: auto, sni: web.example, trustedCA: DIR/ca.crt}}
- {name: stream13, endpoints: [{address: "127.0.0.1:9513"}], tls: {kernel: auto, sni: web.example, trustedCA: DIR/ca.crt}}
- {name: stream12, endpoints: [{address: "127.0.0.1:9512"}], tls: {kernel: auto, sni: web.example, trustedCA: DIR/ca.crt}}
- {name: mesh, endpoints: [{address: "127.0.0.1:8445"}], tls: {kernel: auto, sni: web.example, trustedCA: DIR/ca.crt,
    certificates: [{cert: DIR/client.crt, key: DIR/client.key}]}}
"""


def config():
    return (CONFIG.replace("WEB", "{cert: DIR/web.crt, key: DIR/web.key}").replace("DIR", CERTS).replace("IDENTITY", IDENTITY))


V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
DATA = os.urandom(LARGE)


def context(version, server=False, cert=None):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    c.minimum_version = c.maximum_version = version
    if server or cert:
        c.load_cert_chain(f"{CERTS}/{cert}.crt", f"{CERTS}/{cert}.key")
    if not server:
        c.load_verify_locations(f"{CERTS}/ca.crt")
    return c


def there():
    s = socket.socket()
    try:
        s.setsockopt(socket.IPPROTO_TCP, 31, b"tls\0")          # TCP_ULP
    except OSError as e:
        return e.errno == errno.ENOTCONN
    finally:
        s.close()
    return True


THERE = there()
made = collections.Counter()         # (port or "hosts", tls, kernel_out or kernel_in): handshakes that must be counted so
NOT_KERNEL = 8447, 8448              # behind a PROXY protocol header; not asked for


def handshake(port, version, within=True):
    made[port, "tls"] += 1
    made[port, "kernel_out"] += THERE and port not in NOT_KERNEL
    made[port, "kernel_in"] += THERE and port not in NOT_KERNEL and version == V12 and within


class Secure(Client):
    """An end without close_notify is an error of its reads."""

    def __init__(self, port=8443, version=V13, cert=None, ciphers=None, rcvbuf=0):
        super().__init__(port, rcvbuf)
        c = context(version, cert=cert)
        if ciphers:
            c.set_ciphers(ciphers)
        self.sock = c.wrap_socket(self.sock, server_hostname="web.example", suppress_ragged_eofs=False)
        handshake(port, version)


class SecureHost(Host):
    def __init__(self, port, version):
        self.context, self.version = context(version, True, "web"), version
        super().__init__(port)

    def serve(self, c, number):
        c.sock = self.context.wrap_socket(c.sock, server_side=True, suppress_ragged_eofs=False)
        handshake("hosts", self.version)
        super().serve(c, number)


def bytes_or_digest(c, r):
    """/N: N bytes; else what came, by its digest."""
    if r.method == "GET":
        return answer(c, r, DATA[:int(r.path[1:])])
    return answer(c, r, hashlib.sha256(r.body).hexdigest().encode())


class Any(dict):
    def get(self, key, default=None):
        return None if key.startswith("early ") else bytes_or_digest


def both_ways(c, sizes, headers="", close=False):
    for n in sizes:
        r = c.ask(f"/{n}", headers=headers)
        is_((r.status, len(r.body), r.body == DATA[:n]), (200, n, True), f"{n} bytes down")
        r = c.ask("/", "POST", headers=headers, body=DATA[:n])
        is_((r.status, r.body), (200, hashlib.sha256(DATA[:n]).hexdigest().encode()), f"{n} bytes up")
    if close:
        r = c.ask("/70000", headers=headers + "Connection: close\r\n")
        is_((len(r.body), c.rest()), (70000, b""), "the last one, then close_notify")
    c.close()


class Streams:
    """TCP: what a client sends to its end is answered by its digest and by as many bytes as its first line says, then closed."""

    def __init__(self, port, version=None):
        self.context, self.version = version and context(version, True, "web"), version
        self.listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            threading.Thread(target=self.serve, args=(self.listener.accept()[0],), daemon=True).start()

    def serve(self, s):
        try:
            if self.context:
                s = self.context.wrap_socket(s, server_side=True, suppress_ragged_eofs=False)
                handshake("hosts", self.version)
            got = b""
            while not got.endswith(b"end\n"):
                more = s.recv(1 << 16)
                if not more:
                    break
                got += more
            n = int(got.split(b"\n", 1)[0])
            s.sendall(hashlib.sha256(got).hexdigest().encode() + DATA[:n])
            if self.context:
                s.unwrap()
        except OSError:
            pass
        s.close()


def listener(name):
    return next(l for l in json.loads(admin("/listeners"))["listeners"] if l["name"] == name)


def counted(name, what):
    row = f'weft_listener_{what}_total{{listener="{name}"}} '
    return sum(int(line[len(row):]) for line in admin("/metrics").splitlines() if line.startswith(row))


def settle():
    """The proxy tells of all its counters at once, and not at once: what is here when one more is, is all from before it."""
    before = counted("itself", "tls")
    Secure(8448).close()
    eventually(lambda: counted("itself", "tls") > before)


def spliced():
    return metric("weft_http_spliced_bytes_total")


def passes_by(least, fn):
    """At least so many of the bytes that fn() moves go through pipes, past the process."""
    if not THERE:
        return fn()
    settle()
    before = spliced()
    fn()
    settle()
    assert spliced() - before >= least, f"{spliced() - before} bytes passed by, wanted {least}"


@case
def clients_of_tls_1_3():
    both_ways(Secure(), SIZES, close=True)


@case
def clients_of_tls_1_2():
    both_ways(Secure(version=V12), SIZES, close=True)


@case
def ciphers_of_tls_1_2():
    for name in ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"):
        both_ways(Secure(version=V12, ciphers=name), (1, 70000))


@case
def large_bodies_of_clients_pass_by():
    """OpenSSL 3.0 leaves what TLS 1.3 receives to the process."""
    passes_by(LARGE * 9 // 10, lambda: is_(Secure().ask(f"/{LARGE}").body == DATA, True))
    passes_by(MUCH * 18 // 10, lambda: both_ways(Secure(version=V12), (MUCH,)))


@case
def mutual_tls_and_its_identity():
    both_ways(Secure(8445, cert="client"), (1, 70000))
    both_ways(Secure(8445, V12, cert="client"), (1, 70000))
    try:
        Secure(8445, V12)
        raise AssertionError("no certificate, and let in")
    except OSError:
        pass


@case
def plain_and_tls_on_one_port():
    both_ways(Client(8444), (1, 70000))
    both_ways(Secure(8444), (1, 70000))


@case
def hosts_of_tls_1_3():
    both_ways(Client(), SIZES, "to: 13\r\n")


@case
def hosts_of_tls_1_2():
    both_ways(Client(), SIZES, "to: 12\r\n")


@case
def large_bodies_of_hosts_pass_by():
    passes_by(MUCH * 9 // 10, lambda: both_ways(Client(), (MUCH,), "to: 13\r\n"))
    passes_by(MUCH * 18 // 10, lambda: both_ways(Client(), (MUCH,), "to: 12\r\n"))


@case
def one_weft_to_another_by_mutual_tls():
    both_ways(Client(), SIZES, "to: mesh\r\n")


@case
def streams_are_ended_by_each_side():
    """A client's FIN is the host's close_notify, and the other way round; bytes still come after the first."""
    for port in (8081, 8082):
        for n in (1, 70000, MUCH):
            c = Client(port)
            sent = b"%d\n" % n + DATA[:n]
            c.send(sent)
            c.sock.shutdown(socket.SHUT_WR)
            got = c.rest()
            is_((got[:64], got[64:] == DATA[:n]), (hashlib.sha256(sent).hexdigest().encode(), True), f"port {port}, {n} bytes")
            c.close()
    for version in (V13, V12):
        for n in (1, 70000, MUCH):
            c = Secure(8446, version)
            sent = b"%d\n" % n + DATA[:n] + b"end\n"
            c.send(sent)
            got = c.rest()
            is_((got[:64], got[64:] == DATA[:n]), (hashlib.sha256(sent).hexdigest().encode(), True), f"{version}, {n} bytes")
            c.close()


@contextlib.contextmanager
def small_send_buffers():
    """Of this machine, if it is test/vm's: then every second answer's last record finds room for a part of itself only."""
    path, was = "/proc/sys/net/ipv4/tcp_wmem", None
    if THERE and os.path.exists("/test/run"):
        was = open(path).read()
        open(path, "w").write("4096 16384 65536")
    yield
    if was:
        open(path, "w").write(was)


@case
def who_reads_late_gets_all():
    """The proxy has closed, and left, when the client begins to read: nothing of the last record may be lost."""
    sizes, late, before = range(20000, 140000, 5000), [], None
    with small_send_buffers():
        for i, n in enumerate(sizes):
            late.append(Secure(rcvbuf=4096, version=(V12, V13)[i % 2]))
            late[-1].send(f"GET /{n} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        # Until it has done what it can.
        settle()
        while before != (before := listener("secure")["open"]):
            settle(), settle()
        for c, n in zip(late, sizes):
            r = c.response()
            is_((r.status, r.body == DATA[:n]), (200, True), f"{n} bytes")
            is_(not THERE or c.rest(), not THERE or b"", f"close_notify behind {n} bytes")
            c.close()


@case
def clients_that_go_leave_nothing():
    for version in (V13, V12):
        for how in ("reset", "close"):
            c = Secure(version=version)
            c.send(f"GET /{LARGE} HTTP/1.1\r\nHost: a\r\n\r\n")
            c.fill()
            getattr(c, how)()
            c = Secure(version=version)
            c.ask("/1")
            c.send(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {LARGE}\r\n\r\n".encode() + DATA[:100000])
            getattr(c, how)()
    both_ways(Secure(), (1, 70000))


class Talk:
    """openssl s_client, by its standard input."""

    def __init__(self, *options, port=8443):
        self.p = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "web.example",
                                   "-CAfile", f"{CERTS}/ca.crt", *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, bufsize=0)
        self.got = b""
        self.limit = threading.Timer(60, self.p.kill)
        self.limit.start()
        self.until(b"\n---\n")
        handshake(port, V13)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.limit.cancel()
        self.p.kill()
        self.p.wait()

    def say(self, text):
        self.p.stdin.write(text.encode())

    def until(self, mark):
        while mark not in self.got:
            more = os.read(self.p.stdout.fileno(), 1 << 16)
            assert more, f"ended before {mark!r}: {self.got[-500:]!r}"
            self.got += more
        self.got = self.got.split(mark, 1)[1]

    def rest(self):
        return self.got + b"".join(iter(lambda: os.read(self.p.stdout.fileno(), 1 << 16), b""))


GET = "GET /1000 HTTP/1.1\r\nHost: a\r\n\r\n"


@case
def new_keys_of_the_client_alone():
    with Talk("-tls1_3") as t:
        for _ in range(3):
            t.say(GET)
            t.until(DATA[900:1000])
            t.say("k\n")
            t.until(b"KEYUPDATE\n")


@case
def new_keys_of_both():
    """The kernel takes none for sending: the connection's end is clean, and the next one works. This process does."""
    with Talk("-tls1_3") as t:
        t.say(GET)
        t.until(DATA[900:1000])
        t.say("K\n")
        t.until(b"KEYUPDATE\n")
        if THERE:
            rest = t.rest()
            assert b"closed" in rest and b"error" not in rest and b"alert" not in rest, rest
        else:
            t.say(GET)
            t.until(DATA[900:1000])
    both_ways(Secure(), (1000,))


@case
def ciphers_of_tls_1_3():
    for name in ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"):
        with Talk("-tls1_3", "-ciphersuites", name) as t:
            t.say(GET)
            t.until(DATA[900:1000])


@functools.cache
def one_context():
    """Sessions are a context's."""
    return context(V12)


class Slow:
    """A client whose bytes are sent as the test likes. Resumed, one of TLS 1.2 may speak in the segment of its Finished."""

    def __init__(self, session=None, within=True):
        self.sock = socket.create_connection(("127.0.0.1", 8443))
        self.sock.settimeout(60)
        self.inc, self.out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = one_context().wrap_bio(self.inc, self.out, server_hostname="web.example", session=session)
        self.until(self.tls.do_handshake)
        handshake(8443, V12, within)

    def until(self, fn):
        while True:
            try:
                return fn()
            except ssl.SSLWantReadError:
                self.flush()
                more = self.sock.recv(1 << 16)
                self.inc.write(more) if more else self.inc.write_eof()

    def flush(self, keep=0):
        """Gives back the last bytes that it is to keep."""
        data = self.out.read()
        self.sock.sendall(data[:len(data) - keep])
        return data[len(data) - keep:]

    def body(self, n=1000):
        got = b""
        while b"\r\n\r\n" not in got or len(got.split(b"\r\n\r\n", 1)[1]) < n:
            more = self.until(lambda: self.tls.read(1 << 16))
            assert more, "closed too early"
            got += more
        return got.split(b"\r\n\r\n", 1)[1]


@case
def bytes_that_come_with_the_handshake_are_not_lost():
    c = Slow()
    c.tls.write(GET.encode())
    is_(c.body(), DATA[:1000])
    session = c.tls.session
    c = Slow(session=session)
    assert c.tls.session_reused
    c.tls.write(GET.encode())
    c.tls.write(GET.encode())
    c.flush()
    is_(c.body()[:1000], DATA[:1000])
    # Of a record that is cut the kernel would not know the beginning.
    c = Slow(session=session, within=False)
    c.tls.write(GET.encode())
    before = counted("secure", "tls")
    left = c.flush(keep=20)
    eventually(lambda: counted("secure", "tls") > before)
    c.sock.sendall(left)
    is_(c.body(), DATA[:1000])


@case
def a_heap_of_small_records():
    """The kernel gives several at a time."""
    c, n = Slow(), 60000
    c.tls.write(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {n}\r\n\r\n".encode())
    for i in range(0, n, 150):
        c.tls.write(DATA[i:i + 150])
    is_(c.body(64), hashlib.sha256(DATA[:n]).hexdigest().encode())


@case
def behind_a_proxy_header_it_is_this_process():
    c = Client(8447)
    c.send("PROXY TCP4 10.9.9.9 127.0.0.1 1 2\r\n")
    c.sock = context(V13).wrap_socket(c.sock, server_hostname="web.example")
    handshake(8447, V13)
    both_ways(c, (1, 70000))


@case
def who_did_it_is_counted():
    settle()
    hosts = {n: int(metric(f"weft_upstream_tls_{n}_total")) for n in ("handshakes", "kernel_out", "kernel_in", "kernel_not")}
    mesh = hosts["handshakes"] - made["hosts", "tls"]           # to another listener here
    assert mesh > 0
    for n in ("out", "in"):
        is_(hosts["kernel_" + n], made["hosts", "kernel_" + n] + (mesh if THERE and n == "out" else 0), f"to hosts, {n}")
    is_(hosts["kernel_out"] + hosts["kernel_not"], hosts["handshakes"], "to hosts, all")
    for name, port in (("secure", 8443), ("either", 8444), ("mutual", 8445), ("stream", 8446), ("headed", 8447), ("itself", 8448)):
        for what in ("tls", "kernel_out", "kernel_in"):
            more = mesh if name == "mutual" and (what == "tls" or (what == "kernel_out" and THERE)) else 0
            got = counted(name, what if what == "tls" else "tls_" + what)
            is_(got, made[port, what] + more, f"{name}, {what}")
        asked = 0 if name == "itself" else counted(name, "tls")
        is_(counted(name, "tls_kernel_not"), asked - counted(name, "tls_kernel_out"), f"{name}, not")


def kernel_row(name):
    return int(next(line for line in open("/proc/net/tls_stat") if line.split()[0] == name).split()[1])


@case
def nothing_is_left_in_the_kernel():
    """But the idle connections to hosts: of TLS 1.3, 1.2 and the mesh, there at both ends."""
    eventually(lambda: not any(listener(n)["open"] for n in ("secure", "either", "stream")))
    if THERE:
        eventually(lambda: kernel_row("TlsCurrTxSw") <= 4)
        is_(kernel_row("TlsDecryptError"), 0)
        is_((kernel_row("TlsTxSw") >= sum(made[k] for k in made if k[1] == "kernel_out"),
             kernel_row("TlsRxSw") >= sum(made[k] for k in made if k[1] == "kernel_in")), (True, True))


def main():
    if sys.argv[1] == "config":
        print(config())
    elif sys.argv[1] == "files":
        import encodings.idna  # noqa: F401  (asked for by name)
        for m in list(sys.modules.values()):
            for path in (getattr(m, "__file__", None), getattr(m, "__cached__", None)):
                if path and os.path.exists(path):
                    print(path)
    else:
        for h in (Host(9001), SecureHost(9413, V13), SecureHost(9412, V12)):
            h.on = Any()
        Streams(9002), Streams(9513, V13), Streams(9512, V12)
        print(f"kernel TLS: {'there' if THERE else 'absent'}", flush=True)
        run(sys.argv[3:])


main()
