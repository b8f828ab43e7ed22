#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Reloads that give a listener another protocol: who speaks the old one is asked to go as if the listener went, calls under way end
# well, relayed connections stay, new ones speak the new protocol; who has not said what it speaks may speak the new one.
. "$(dirname "$0")/../lib/net.sh"
. "$(dirname "$0")/../lib/certs.sh"
. "$SRC/test/lib/plugins.sh"
PY=/usr/bin/python3                             # Debian's, whose package it is
$PY -c 'import hpack' 2> /dev/null || skip "python3-hpack is not installed"
plugin_build "$SRC/test/plugins/proto_pong.c"
cd "$T"
self_signed "$T/weft" DNS:weft.example
cat > "$T/form.yaml" <<YAML
workers: 3
kernel: {mode: off}
plugins: [{path: $PLUGINS/proto_pong.so}]
listeners:
- {name: door, address: "127.0.0.1:8080", PROTOCOL}
- {name: safe, address: "127.0.0.1:8443", PROTOCOL, tls: {certificates: [{cert: $T/weft.crt, key: $T/weft.key}]}}
services:
- {name: web.default, addresses: [10.96.0.1], ports: [{port: 8080, protocol: TCP}], cluster: web}
routes:
- name: all
  rules:
  - {matches: [{service: {value: bolt}}], backends: [{cluster: bolt}], timeouts: {request: 300s}}
  - {matches: [{service: {value: pong}}], backends: [{cluster: pong}], timeouts: {request: 300s}}
  - {matches: [{path: {value: /}}], backends: [{cluster: web}], timeouts: {request: 300s}}
clusters:
- {name: bolt, protocol: bolt, endpoints: [{address: "127.0.0.1:9001"}]}
- {name: web, endpoints: [{address: "127.0.0.1:9002"}]}
- {name: pong, protocol: pong, endpoints: [{address: "127.0.0.1:9003"}]}
YAML
sed 's/PROTOCOL/protocol: bolt, routes: [all]/' "$T/form.yaml" > "$T/weft.yaml"
cat > "$T/cases.py" <<'PY'
import ssl
import subprocess
import rpc_rig
from http2_rig import *
from rpc_rig import BoltClient, BoltHost, PongClient, PongHost

T, WEFT = os.environ["T"], sys.argv[1]
bolt, web, pong = BoltHost(9001), Host(9002), PongHost(9003)
kept = []       # requests of HTTP that wait for their answer
bolt.on["hold"] = pong.on["hold"] = rpc_rig.hold
PID = proxy()


def keep(c, r):
    with changed:
        kept.append((c, r))
        changed.notify_all()


web.on["/hold"] = keep


def let_go():
    bolt.let_go()
    pong.let_go()
    while kept:
        answer(*kept.pop())


def held():
    return len(bolt.held) + len(pong.held) + len(kept)


class Call:
    """A client of RPC; what each of these classes has."""
    stays = False       # what is open goes on

    def __init__(self):
        self.c = self.client()

    def works(self):
        return self.c.ask(self.service, "x", b"hello").body == b"hello"

    def begin(self):
        self.number = self.c.call(self.service, "hold", b"held", timeout=300000)

    def finish(self):
        return self.c.answer(self.number).body == b"held"

    def over(self):
        self.c.left()


class Bolt(Call):
    client, service = BoltClient, "bolt"


class Pong(Call):
    client, service = PongClient, "pong"


class Relayed(Bolt):
    stays = True


class One(Call):
    client, at = Client, ""

    def works(self):
        return self.c.ask(self.at + "/x").status == 200

    def begin(self):
        self.c.send(f"GET {self.at}/hold HTTP/1.1\r\nHost: a.example\r\n\r\n")

    def finish(self):
        r = self.c.response()
        return r.status == 200 and (r.get("connection") == "close") != self.stays


class Proxied(One):
    at = "http://web.default:8080"


class Two(Call):
    client = Client2

    def works(self):
        return self.c.get("/x").status == 200

    def begin(self):
        self.stream = self.c.ask("/hold")

    def finish(self):
        return self.c.answer(self.stream).status == 200

    def over(self):
        eventually(lambda: self.c.over)
        assert self.c.goaway


SPEAK = {"bolt": ("protocol: bolt, routes: [all]", [Bolt]), "pong": ("protocol: pong, routes: [all]", [Pong]),
         "http": ("protocol: http, routes: [all]", [One, Two]), "http-proxy": ("protocol: http-proxy", [Proxied]),
         "tcp": ("protocol: tcp, rules: [{backends: [{cluster: bolt}]}]", [Relayed]),
         "auto": ("protocol: auto, routes: [all]", [Bolt, Pong, One, Two]),
         "both": ("protocol: http, detect: [bolt], routes: [all]", [Bolt, One, Two])}


def adopted():
    with open(f"{T}/weftd.log") as f:
        return f.read().count(" adopted by 3 workers")


def switch(name):
    """Every worker has it when this is back."""
    before = adopted()
    text = open(f"{T}/form.yaml").read().replace("PROTOCOL", SPEAK[name][0])
    open(f"{T}/new", "w").write(text)
    os.rename(f"{T}/new", f"{T}/weft.yaml")
    subprocess.run([WEFT, "reload"], check=True, stdout=subprocess.DEVNULL)
    eventually(lambda: adopted() > before)


def tried(kind):
    """One that works, or None."""
    try:
        x = kind()
        return x if x.works() else None
    except (EOFError, OSError, ValueError, AssertionError, IndexError, struct.error, UnicodeDecodeError):
        return None


def made(kind):
    got = []
    eventually(lambda: got.append(tried(kind)) or got[-1])
    return got[-1]


def change(old, new, stay=()):
    """stay: those of the old protocol who live on."""
    idle = [made(k) for k in SPEAK[old][1] for _ in range(4)]
    busy = [made(k) for k in SPEAK[old][1] for _ in range(4)]
    for b in busy:
        b.begin()
    eventually(lambda: held() == len(busy))
    silent, stuck = Client(), Client(8443)
    switch(new)
    for kind in SPEAK[new][1]:
        for _ in range(6):
            made(kind)
    let_go()
    for x in busy:
        x.stays |= type(x) in stay
        assert x.finish(), f"{type(x).__name__} is answered"
    for x in idle + busy:
        x.stays |= type(x) in stay
        if x.stays:
            assert x.works(), f"{type(x).__name__} goes on"
        else:
            x.over()
    silent.reset()
    try:        # it was in its handshake: it speaks the new protocol, or is let go
        c = ssl.create_default_context(cafile=f"{T}/weft.crt")
        c = c.wrap_socket(stuck.sock, server_hostname="weft.example")
        c.sendall(b"\0\0\0nonsense\r\n\r\n")
        while c.recv(4096):
            pass
    except OSError:
        pass
    is_(proxy(), PID, "the same process")


@case
def rpc_and_http():
    change("bolt", "http-proxy")
    change("http-proxy", "bolt")
    change("bolt", "http")
    change("http", "bolt")


@case
def one_call_at_a_time():
    change("bolt", "pong")
    change("pong", "http")


@case
def http_and_http_proxy():
    change("http", "http-proxy")
    change("http-proxy", "http")


@case
def relayed_connections_stay():
    change("http", "tcp")
    change("tcp", "bolt")
    change("bolt", "tcp")
    change("tcp", "bolt")


@case
def what_is_still_spoken_goes_on():
    change("bolt", "auto", stay=[Bolt])
    change("auto", "both", stay=[Bolt, One, Two])
    change("both", "bolt", stay=[Bolt])


@case
def who_has_said_nothing_speaks_the_new_one():
    switch("http")
    made(One)
    for _ in range(3):
        early = [BoltClient() for _ in range(4)]
        switch("bolt")
        made(Bolt)
        for c in early:     # who was taken for one of HTTP speaks bolt, if its first byte comes behind the reload
            is_(c.ask("bolt", "x", b"hello").body, b"hello")
        switch("http")
        made(One)
    switch("bolt")


run(sys.argv[2:])
PY
export T
weftd_start
PYTHONPATH=$SRC/test/lib $PY "$T/cases.py" "$B/weft" "$@"
weftd_stop
