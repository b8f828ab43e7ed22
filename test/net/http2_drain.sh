#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Clients are asked to go: for their age, the number of their requests, a listener that goes, SIGTERM. No request is lost.
. "$(dirname "$0")/../lib/net.sh"

openssl req -x509 -newkey rsa:2048 -nodes -keyout "$T/key.pem" -out "$T/cert.pem" -days 2 -subj /CN=shop \
	-addext subjectAltName=IP:127.0.0.1 2> "$T/openssl.err"
listener() { echo "- {name: $1, address: \"127.0.0.1:$2\", protocol: http, routes: [all]${3:+, $3}}"; }
write() {
	cat > "$T/weft.yaml" <<-YAML
		workers: 4
		kernel: {mode: off}
		proxy: {drain: 60s}
		listeners:
		$1
		$(listener few 8081 'limits: {connectionRequests: 20}')
		$(listener old 8082 'timeouts: {connectionAge: 300ms}')
		$(listener cut 8083 'timeouts: {connectionAge: 300ms, connectionGrace: 200ms}')
		- name: safe
		  address: "127.0.0.1:8443"
		  protocol: http
		  routes: [all]
		  limits: {connectionRequests: 20}
		  tls: {alpn: [h2], certificates: [{cert: $T/cert.pem, key: $T/key.pem}]}
		routes:
		- {name: all, rules: [{backends: [{cluster: app}]}]}
		clusters:
		- {name: app, endpoints: [{address: "127.0.0.1:9001"}]}
	YAML
}
web=$(listener web 8080)
write "$web"
sed 's/8080/8084/; s/name: web/name: other/' "$T/weft.yaml" > "$T/without.yaml"
cp "$T/weft.yaml" "$T/with.yaml"
{
	awk '/^```yaml/ {n++; in_it = n == 2; next} /^```/ {in_it = 0} in_it' "$SRC/docs/http2.md"
	sed -n '/^routes:/,$p' "$T/weft.yaml"
} > "$T/example.yaml"
ok "the example of the documentation is good" weft config check "$T/example.yaml"
weftd_start
cat > "$T/cases.py" <<'PY'
import os
import shutil
import signal
import subprocess
import threading
from http2_raw import *

T, WEFT, PID = os.environ["T"], os.environ["WEFT"], int(os.environ["PID"])
host = Host(9001)


def listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def configure(name):
    """Until the one port is there and the other is not."""
    shutil.copy(f"{T}/{name}", f"{T}/new")
    os.replace(f"{T}/new", f"{T}/weft.yaml")
    subprocess.run([WEFT, "reload"], check=True, stdout=subprocess.DEVNULL)
    here, gone = (8080, 8084) if name == "with.yaml" else (8084, 8080)
    eventually(lambda: listens(here) and not listens(gone))


class Held:
    """A path whose answer waits for go()."""

    def __init__(self, path):
        self.came, self.gate = threading.Event(), threading.Event()
        host.on[path] = self.serve

    def serve(self, c, r):
        self.came.set()
        self.gate.wait(LIMIT)
        answer(c, r, b"held")


def goes_in_two_steps(f, ask_to_go):
    """A stream is under way when the connection is asked to go; one more comes before the client has answered."""
    held = Held("/held")
    f.send(ask(1, "/held"))
    assert held.came.wait(LIMIT)
    ask_to_go()
    is_(f.goaway(), (LAST, 0))
    token = f.until_frame(PING)[3]
    f.send(ask(3, "/crossed"))
    is_(f.until_frame(HEADERS)[2], 3)
    f.send(frame(PING, ACK, 0, token))
    is_(f.goaway(), (3, 0))
    f.send(ask(5, "/late"))
    held.gate.set()
    _, _, stream, head = f.until_frame(HEADERS)
    is_((stream, head[:1]), (1, OK))
    is_(f.until_frame(DATA, END)[3], b"held")
    rest = f.rest()
    f.close()
    assert "/late" not in host.paths(), host.paths()
    host.forget()
    return rest


@case
def a_listener_that_goes():
    goes_in_two_steps(Frames(), lambda: configure("without.yaml"))
    idle = Frames(8084)
    configure("with.yaml")
    is_(idle.goaway(), (LAST, 0))
    idle.send(frame(PING, ACK, 0, idle.until_frame(PING)[3]))
    is_(idle.goaway(), (0, 0))
    is_(idle.rest(), b"")
    idle.close()


@case
def a_listener_that_goes_hears_nothing_from_its_client():
    f = Frames()
    f.until_frame(SETTINGS, ACK)
    configure("without.yaml")
    is_(f.goaway(), (LAST, 0))
    is_(f.goaway(), (0, 0))
    f.rest()
    f.close()
    configure("with.yaml")


@case
def a_client_that_says_goaway():
    f = Frames()
    f.until_frame(SETTINGS, ACK)
    f.send(frame(GOAWAY, 0, 0, bytes(8)))
    is_(f.goaway(), (0, 0))
    is_(f.rest(), b"")
    f.send(frame(PING, 0, 0, bytes(8)))         # is dropped, not answered by a reset
    is_(f.sock.recv(1), b"")
    f.close()


@case
def a_client_that_says_goaway_and_asks_on():
    f = Frames()
    f.until_frame(SETTINGS, ACK)
    f.send(frame(GOAWAY, 0, 0, bytes(8)) + ask(1) + ask(3))
    is_(f.goaway()[1], 0)
    f.rest()
    f.close()
    is_(host.requests, [])


@case
def the_number_of_requests():
    f = Frames(8081)
    f.send(b"".join(ask(2 * i + 1, f"/n{i}") for i in range(25)))
    is_(f.goaway(), (LAST, 0))
    f.send(frame(PING, ACK, 0, f.until_frame(PING)[3]))
    is_(f.goaway(), (49, 0))
    f.rest()
    f.close()
    c = Client(8081)
    said = [c.ask(f"/n{i}").get("connection") for i in range(20)]
    is_(said, [None] * 19 + ["close"])
    assert c.closed()
    host.forget()


@case
def age():
    f = Frames(8082)
    f.send(ask(1))
    is_(f.until_frame(HEADERS)[3][:1], OK)
    is_(f.goaway(), (LAST, 0))
    f.close()
    c = Client(8082)
    while c.ask("/").get("connection") != "close":
        pass
    assert c.closed()


@case
def what_is_left_when_the_grace_is_over_is_cut():
    held = Held("/stays")
    for c in Frames(8083), Client(8083):
        c.send(ask(1, "/stays") if isinstance(c, Frames) else "GET /stays HTTP/1.1\r\nHost: a\r\n\r\n")
        c.rest()
        c.close()
    held.gate.set()
    host.forget()


def asked_meanwhile(name, ports, busy):
    """Askers at work while busy() does something, and until each was asked to go; every request came to the host once."""
    done, errors, said = threading.Event(), [], []

    def work(n, port):
        a, i = Asker(port), 0
        try:
            while not done.is_set() or not a.moved:
                a.ask(f"/{name}/{n}/{i + k}" for k in range(12))
                i += 12
            said.append(i)
        except Exception as e:
            errors.append(e)
        a.close()
    threads = [threading.Thread(target=work, args=(n, p)) for n, p in enumerate(ports)]
    for t in threads:
        t.start()
    busy()
    done.set()
    for t in threads:
        t.join(LIMIT)
    assert not errors, errors
    paths = [p for p in host.paths() if p.startswith(f"/{name}/")]
    is_(len(set(paths)), sum(said))
    is_(len(paths), sum(said), "asked twice")


@case
def nothing_is_lost_when_connections_are_short():
    asked_meanwhile("short", [8081, 8081, 8082, 8082], lambda: None)


@case
def nothing_is_lost_by_reloads():
    def reloads():
        # The listeners that these clients speak to come and go in turns; at each moment one of the ports is there.
        for _ in range(3):
            configure("without.yaml")
            configure("with.yaml")
    asked_meanwhile("reloads", [8081, 8082, 8081], reloads)


@case
def curl_goes_on():
    out = subprocess.run(["curl", "-sS", "--http2", "-m", str(LIMIT), "-o", "/dev/null", "-w", "%{http_code}\\n",
                          "--cacert", f"{T}/cert.pem", "https://127.0.0.1:8443/curl[1-100]"], stdout=subprocess.PIPE)
    is_(out.stdout.count(b"200\n"), 100)
    host.forget()


@case
def sigterm():
    old = Client()
    held = Held("/old")
    old.send("GET /old HTTP/1.1\r\nHost: a\r\n\r\n")
    assert held.came.wait(LIMIT)
    goes_in_two_steps(Frames(), lambda: os.kill(PID, signal.SIGTERM))
    held.gate.set()
    r = old.response()
    is_((r.status, r.body, r.get("connection")), (200, b"held", "close"))


run()
PY
PYTHONPATH=$SRC/test/lib T=$T WEFT=$B/weft PID=$WEFTD_PID python3 "$T/cases.py"
rc=0
wait "$WEFTD_PID" || rc=$?
is $rc 0 "weftd ends with 0 behind the last answer"
WEFTD_PID=
