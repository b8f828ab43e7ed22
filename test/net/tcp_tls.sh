#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# TLS around the TCP proxy: ended there, begun there, and passed on by the name that the client asks for.
. "$(dirname "$0")/../lib/net.sh"
. "$(dirname "$0")/../lib/certs.sh"
export PYTHONPATH=$SRC/test/lib PYTHONDONTWRITEBYTECODE=1

self_signed "$T/a.test" DNS:a.test
self_signed "$T/b.test" DNS:b.test
cat > "$T/weft.yaml" <<YAML
kernel: {mode: "off"}
workers: 2
listeners:
- name: passed
  address: 127.0.0.1:7001
  protocol: tcp
  timeouts: {head: 500ms}
  rules:
  - {snis: [a.test], backends: [{cluster: a}]}
  - {snis: ["*.test"], backends: [{cluster: b}]}
  - {backends: [{cluster: plain}]}
- {name: ended, address: "127.0.0.1:7002", protocol: tcp, tls: {certificates: [{cert: $T/a.test.crt, key: $T/a.test.key}]}, rules: [{backends: [{cluster: plain}]}]}
- {name: either, address: "127.0.0.1:7003", protocol: tcp, tls: {mode: permissive, certificates: [{cert: $T/a.test.crt, key: $T/a.test.key}]}, rules: [{snis: [a.test], backends: [{cluster: plain}]}, {backends: [{cluster: other}]}]}
- {name: begun, address: "127.0.0.1:7004", protocol: tcp, rules: [{backends: [{cluster: secure}]}]}
- {name: doubted, address: "127.0.0.1:7005", protocol: tcp, rules: [{backends: [{cluster: doubted}]}]}
clusters:
- {name: a, endpoints: [{address: "127.0.0.1:9001"}]}
- {name: b, endpoints: [{address: "127.0.0.1:9002"}]}
- {name: plain, endpoints: [{address: "127.0.0.1:9003"}]}
- {name: other, endpoints: [{address: "127.0.0.1:9004"}]}
- {name: secure, tls: {sni: a.test, trustedCA: $T/a.test.crt}, endpoints: [{address: "127.0.0.1:9001"}]}
- {name: doubted, tls: {sni: b.test, trustedCA: $T/b.test.crt}, endpoints: [{address: "127.0.0.1:9001"}]}
YAML
cat > "$T/hosts.py" <<'PY'
import socket, ssl, sys, threading
folder = sys.argv[1]
def serve(port, name, cert=None):
    ctx = None
    if cert:
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ctx.load_cert_chain(f"{folder}/{cert}.crt", f"{folder}/{cert}.key")
    l = socket.create_server(("127.0.0.1", port), backlog=64)
    def answer(s):
        try:
            s = ctx.wrap_socket(s, server_side=True) if ctx else s
            data = s.recv(100)
            s.sendall(name + b" " + data)
            s.close()
        except OSError as e:
            print(name, e, flush=True)
    def loop():
        while True:
            threading.Thread(target=answer, args=(l.accept()[0],), daemon=True).start()
    threading.Thread(target=loop, daemon=True).start()
serve(9001, b"a", "a.test")
serve(9002, b"b", "b.test")
serve(9003, b"plain")
serve(9004, b"other")
print("ready", flush=True)
threading.Event().wait()
PY
cat > "$T/cases.py" <<'PY'
import socket, ssl, sys, time
folder = sys.argv[1]

def ask(port, name=None, ca=None, split=False):
    s = socket.create_connection(("127.0.0.1", port), timeout=60)
    try:
        if ca or name:
            ctx = ssl.create_default_context(cafile=f"{folder}/{ca}.crt") if ca else ssl._create_unverified_context()
            if split:
                return by_bytes(s, ctx, name)
            s = ctx.wrap_socket(s, server_hostname=name)
        s.sendall(b"hello")
        return s.recv(100).decode()
    except (ssl.SSLError, ConnectionResetError) as e:
        return type(e).__name__
    finally:
        s.close()

def by_bytes(s, ctx, name):
    """The ClientHello in pieces of a few bytes."""
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ctx.wrap_bio(into, out, server_hostname=name)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    first = True
    def go(fn):
        nonlocal first
        while True:
            try:
                r = fn()
                s.sendall(out.read())
                return r
            except ssl.SSLWantReadError:
                data = out.read()
                step = 50 if first else len(data) or 1
                for i in range(0, len(data), step):
                    s.sendall(data[i:i + step])
                    time.sleep(0.005)
                first = False
                into.write(s.recv(65536))
    go(tls.do_handshake)
    go(lambda: tls.write(b"hello"))
    return go(lambda: tls.read(100)).decode()

def check(what, got, want):
    assert got == want, f"{what}: got {got!r}, wanted {want!r}"
    print(f"  ok: {what}", flush=True)

check("passed on by its exact name, end to end", ask(7001, "a.test", "a.test"), "a hello")
check("by a wildcard", ask(7001, "b.test", "b.test"), "b hello")
check("in small pieces", ask(7001, "a.test", "a.test", split=True), "a hello")
check("no TLS: the rule without names", ask(7001), "plain hello")
s = socket.create_connection(("127.0.0.1", 7001), timeout=60)
try:
    check("who says nothing is let go", s.recv(1), "reset")
except ConnectionResetError:
    print("  ok: who says nothing is let go", flush=True)
check("ended at the proxy", ask(7002, "a.test", "a.test"), "plain hello")
check("plain bytes where TLS must be", ask(7002) in ("ConnectionResetError", ""), True)
check("either: TLS, and its name chooses", ask(7003, "a.test", "a.test"), "plain hello")
check("either: plain", ask(7003), "other hello")
check("begun at the proxy", ask(7004), "a hello")
check("a host with the wrong certificate", ask(7005), "ConnectionResetError")
PY
bg hosts.log python3 "$T/hosts.py" "$T"
wait_line 20 "$T/hosts.log" ready
weftd_start
ok "every case" python3 "$T/cases.py" "$T"
cat "$T/ok.out"
