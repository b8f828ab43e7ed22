#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The PROXY protocol from load balancers and towards hosts: who the client is goes all the way, and only from those who may say it.
. "$(dirname "$0")/../lib/net.sh"

cat > "$T/weft.yaml" <<YAML
workers: 2
kernel: {mode: off}
listeners:
- {name: required, address: "127.0.0.1:8080", protocol: http, xff: append, routes: [all], netFilters: [{type: proxy-protocol}]}
- {name: optional, address: "127.0.0.1:8081", protocol: http, xff: append, routes: [all],
    netFilters: [{type: proxy-protocol, required: false}]}
- {name: elsewhere, address: "127.0.0.1:8082", protocol: http, xff: append, routes: [all], trusted: [10.0.0.0/8],
    netFilters: [{type: proxy-protocol}]}
- {name: raw, address: "127.0.0.1:8083", protocol: tcp, rules: [{backends: [{cluster: told}]}],
    netFilters: [{type: proxy-protocol, required: false}]}
routes:
- {name: all, rules: [{matches: [{path: {value: /told}}], backends: [{cluster: told}]}, {backends: [{cluster: plain}]}]}
clusters:
- {name: plain, endpoints: [{address: "127.0.0.1:9001"}]}
- {name: told, proxyProtocol: true, endpoints: [{address: "127.0.0.1:9002"}], panicThreshold: 0,
    healthCheck: {type: http, path: /, interval: 100ms, unhealthyThreshold: 1, healthyThreshold: 1}}
YAML
# 9001: HTTP; 9002: takes a PROXY header of version 2 first. Both say what they were told.
cat > "$T/host.py" <<'PY'
import socket, struct, threading
def exactly(c, n):
    got = b""
    while len(got) < n:
        d = c.recv(n - len(got))
        if not d:
            raise EOFError
        got += d
    return got
def header(c):
    assert exactly(c, 12) == b"\r\n\r\n\0\r\nQUIT\n"
    command, family, n = struct.unpack(">BBH", exactly(c, 4))
    rest = exactly(c, n)
    if command != 0x21 or family not in (0x11, 0x21):
        return f"{command:x} {family:x}"
    kind, k = (socket.AF_INET, 4) if family == 0x11 else (socket.AF_INET6, 16)
    src, dst = (socket.inet_ntop(kind, rest[i:i + k]) for i in (0, k))
    sport, dport = struct.unpack(">HH", rest[2 * k:2 * k + 4])
    return f"{src}:{sport} to {dst}:{dport}"
def talk(c, told):
    try:
        who = header(c) + " " if told else ""
        while True:
            head = b""
            while b"\r\n\r\n" not in head:
                head += exactly(c, 1)
            xff = [l.split(b": ")[1].decode() for l in head.split(b"\r\n") if l.lower().startswith(b"x-forwarded-for")]
            body = (who + ",".join(xff)).encode() + b"\n"
            c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    except (EOFError, OSError):
        c.close()
def serve(port, told):
    s = socket.create_server(("127.0.0.1", port))
    while True:
        threading.Thread(target=talk, args=(s.accept()[0], told), daemon=True).start()
threading.Thread(target=serve, args=(9001, False), daemon=True).start()
serve(9002, True)
PY
bg host.log python3 "$T/host.py"
wait_for 30 curl -sf -o /dev/null http://127.0.0.1:9001/
weftd_start

# ask PORT PATH HEADER_BYTES -> the body, "closed" when there is none
cat > "$T/ask.py" <<'PY'
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20)
s.settimeout(20)
header = sys.argv[3].encode().decode("unicode_escape").encode("latin-1")
request = b"GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % sys.argv[2].encode()
got = b""
try:
    for i in range(len(header)):
        s.sendall(header[i:i + 1])
    s.sendall(request)
    while not (b"\r\n\r\n" in got and got.endswith(b"\n") and len(got.split(b"\r\n\r\n", 1)[1])):
        d = s.recv(4096)
        if not d:
            break
        got += d
except OSError:
    pass
print(got.split(b"\r\n\r\n", 1)[1].decode().strip() if b"\r\n\r\n" in got else "closed")
PY
ask() { python3 "$T/ask.py" "$@"; }
V2='\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x01\x02\x03\x04\x0a\0\0\x01\x12\x34\0\x50'
V26='\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x07\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x08\x12\x34\0\x50'
V1='PROXY TCP4 1.2.3.4 10.0.0.1 4660 80\r\n'

is "$(ask 8080 / "$V2")" 1.2.3.4 "version 2"
is "$(ask 8080 / "$V1")" 1.2.3.4 "version 1"
is "$(ask 8080 / 'PROXY TCP6 fd00::7 ::1 1 2\r\n')" fd00::7 "IPv6"
is "$(ask 8080 / "$V26")" fd00::7 "version 2 and IPv6"
is "$(ask 8080 / 'PROXY UNKNOWN\r\n')" 127.0.0.1 "UNKNOWN is the sender"
is "$(ask 8080 / '\r\n\r\n\0\r\nQUIT\n\x20\0\0\0')" 127.0.0.1 "LOCAL is the sender"
like "$(curl -sS -m 20 --haproxy-protocol http://127.0.0.1:8080/)" '^127.0.0.1$' "curl's"
is "$(ask 8080 / '')" closed "no header where it is required"
is "$(ask 8080 / 'PROXY TCP4 1.2.3.4 10.0.0.1 99999 80\r\n')" closed "a bad one"
case_pass required

is "$(ask 8081 / "$V2")" 1.2.3.4 "with"
is "$(ask 8081 / '')" 127.0.0.1 "without"
case_pass optional

is "$(ask 8082 / "$V2")" closed "of a client that nobody trusts"
case_pass trusted

is "$(ask 8080 /told "$V2")" "1.2.3.4:4660 to 10.0.0.1:80 1.2.3.4" "the host gets what came"
is "$(ask 8080 /told 'PROXY TCP4 9.9.9.9 10.0.0.1 1 80\r\n')" "9.9.9.9:1 to 10.0.0.1:80 9.9.9.9" "another client has a connection of its own"
is "$(ask 8080 /told "$V26")" "fd00::7:4660 to fd00::8:80 fd00::7" "IPv6 goes on as IPv6"
is "$(ask 8080 /told 'PROXY TCP6 fd00::9 fd00::8 1 2\r\n')" "fd00::9:1 to fd00::8:2 fd00::9" "also from version 1"
is "$(ask 8083 / "$V26")" "fd00::7:4660 to fd00::8:80" "and through a tcp listener"
like "$(ask 8081 /told '')" '^127.0.0.1:[0-9]+ to 127.0.0.1:8081 127.0.0.1$' "the client itself"
is "$(ask 8083 / "$V2")" "1.2.3.4:4660 to 10.0.0.1:80" "through a tcp listener"
case_pass towards_hosts

checked() { admin /clusters | python3 -c 'import json, sys
print([c["hosts"][0]["health"] for c in json.load(sys.stdin)["clusters"] if c["name"] == "told"][0])'; }
unknown() { [ "$(checked)" = "not checked yet" ]; }
wait_for 60 eval '! unknown'
is "$(checked)" healthy "the check of a host that wants the header"
case_pass checks
