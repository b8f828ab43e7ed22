#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A net filter of a plugin on listeners of HTTP and TCP, with and without TLS below it: every byte goes through it, both ways; a
# client that it refuses is refused; its settings are checked with file and line, and live as long as their connections.
. "$(dirname "$0")/../lib/net.sh"
. "$SRC/test/lib/plugins.sh"
plugin_build "$SRC/test/plugins/net_mask.c"
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=a -keyout "$T/key.pem" -out "$T/cert.pem" 2> /dev/null
conf() {  # key of the mask
	cat > "$T/next.yaml" <<-YAML
	workers: 2
	kernel: {mode: off}
	plugins: [{path: $PLUGINS/net_mask.so}]
	listeners:
	- {name: web, address: "127.0.0.1:8080", netFilters: [{type: mask, key: $1}], routes: [{rules: [{backends: [{cluster: app}]}]}]}
	- name: tls
	  address: "127.0.0.1:8081"
	  tls: {certificates: [{cert: $T/cert.pem, key: $T/key.pem}]}
	  netFilters: [{type: proxy-protocol, required: false}, {type: mask, key: $1, greeting: howdy}]
	  routes: [{rules: [{backends: [{cluster: app}]}]}]
	- {name: raw, address: "127.0.0.1:8082", protocol: tcp, netFilters: [{type: mask, key: $1}, {type: mask, key: 7, greeting: again}],
	   rules: [{backends: [{cluster: app}]}]}
	clusters: [{name: app, endpoints: [{address: "127.0.0.1:9001"}]}]
	YAML
	mv "$T/next.yaml" "$T/weft.yaml"
}
conf 42
weftd_start
export T
PYTHONPATH=$SRC/test/lib python3 - <<'PY'
import ssl
from http_rig import *

host = Host(9001)
host.on["/echo"] = lambda c, r: answer(c, r, r.body)
BIG = os.urandom(1 << 16) * 64


class Masked:
    """A socket whose bytes are XORed."""

    def __init__(self, sock, key):
        self.sock, self.table = sock, bytes(i ^ key for i in range(256))

    def sendall(self, d):
        self.sock.sendall(d.translate(self.table))

    def recv(self, n):
        return self.sock.recv(n).translate(self.table)

    def settimeout(self, t):
        self.sock.settimeout(t)

    def close(self):
        self.sock.close()


class Client2(Client):
    def __init__(self, port, greeting=b"hello", key=42, tls=False, slowly=False):
        Client.__init__(self, port)
        if tls:
            c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
            self.sock = c.wrap_socket(self.sock)
        for i in range(len(greeting)):
            self.sock.sendall(greeting[i:i + 1])
        self.sock = Masked(self.sock, key)


@case
def both_ways_through_it():
    for c in Client2(8080), Client2(8081, b"howdy", tls=True):
        for _ in range(3):
            is_(c.ask("/small").status, 200)
        is_(c.ask("/echo", "POST", body=BIG).body == BIG, True)
        c.close()


@case
def several_in_order():
    c = Client(8082)
    c.send(b"hello")
    c.sock = Masked(c.sock, 42)
    c.send(b"again")
    c.sock = Masked(c.sock, 7)
    is_(c.ask("/echo", "POST", body=BIG).body == BIG, True)


@case
def who_is_refused_is_refused():
    for port in 8080, 8082:
        c = Client(port)
        c.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        try:
            is_(c.rest(), b"")
        except ConnectionResetError:
            pass
    eventually(lambda: "no greeting" in open(os.environ["T"] + "/weftd.log").read())


@case
def settings_live_as_long_as_connections():
    c = Client2(8080)
    is_(c.ask("/old").status, 200)
    half = Client(8080)
    half.send(b"hel")
    text = open(os.environ["T"] + "/weft.yaml").read()
    for n in range(43, 47):
        before = open(os.environ["T"] + "/weftd.log").read().count("adopted by 2 workers")
        open(os.environ["T"] + "/new", "w").write(text.replace("key: 42", f"key: {n}"))
        os.rename(os.environ["T"] + "/new", os.environ["T"] + "/weft.yaml")
        eventually(lambda: open(os.environ["T"] + "/weftd.log").read().count("adopted by 2 workers") > before)
        is_(Client2(8080, key=n).ask("/new").status, 200)
    is_(c.ask("/old").status, 200, "the connection that was there")
    half.send(b"lo")
    half.sock = Masked(half.sock, 42)
    is_(half.ask("/half").status, 200, "and one in its greeting")


run()
PY
weftd_stop
refused() {
	cat > "$T/bad.yaml" <<-YAML
	plugins: [{path: $PLUGINS/net_mask.so}]
	listeners:
	- {name: web, address: "127.0.0.1:8080", netFilters: [{type: mask, $1}], routes: [{rules: [{backends: [{cluster: app}]}]}]}
	clusters: [{name: app, endpoints: [{address: "127.0.0.1:9001"}]}]
	YAML
	like "$(weft config check "$T/bad.yaml" 2>&1)" "bad.yaml:3: listeners\[0\]\.netFilters\[0\]$2" "refused: $1"
}
refused 'key: 300' '\.key: 300 is out of range'
refused 'key: 1, greeting: ""' ': greeting: want some'
refused 'key: 1, gruss: a' '\.gruss: no such field, want one of: type, key, greeting'
