#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Hash policies: what says to which host a request belongs, on every worker alike; a cookie is made for who has none.
. "$(dirname "$0")/../lib/net.sh"
. "$(dirname "$0")/../lib/certs.sh"

cat > "$T/weft.yaml" <<YAML
workers: 3
kernel: {mode: off}
listeners:
- {name: web, address: "127.0.0.1:8080", protocol: http, routes: [all]}
- {name: behind, address: "127.0.0.1:8081", protocol: http, trusted: [127.0.0.1], routes: [all]}
- {name: tls, address: "127.0.0.1:8443", protocol: http, tls: {certificates: [{cert: $T/a.crt, key: $T/a.key}]}, routes: [all]}
routes:
- name: all
  rules:
  - {matches: [{path: {value: /header}}], hash: [{header: x-user}], backends: [{cluster: maglev}]}
  - {matches: [{path: {value: /param}}], hash: [{queryParam: user}], backends: [{cluster: ring}]}
  - {matches: [{path: {value: /address}}], hash: [{sourceIP: true}], backends: [{cluster: maglev}]}
  - {matches: [{path: {value: /cookie}}], hash: [{cookie: {name: sid, ttl: 90s}}], backends: [{cluster: ring}]}
  - {matches: [{path: {value: /browser}}], hash: [{cookie: {name: sid, lifetimeType: Session, path: /browser, sameSite: Lax}}], backends: [{cluster: ring}]}
  - {matches: [{path: {value: /open}}], hash: [{cookie: {name: sid, ttl: 90s, secure: true, httpOnly: false, sameSite: None}}], backends: [{cluster: ring}]}
  - {matches: [{path: {value: /first}}], hash: [{header: x-user, terminal: true}, {header: x-other}], backends: [{cluster: ring}]}
clusters:
- {name: maglev, loadBalancer: maglev, endpoints: &hosts [{address: "127.0.0.1:9001"}, {address: "127.0.0.1:9002"}, {address: "127.0.0.1:9003"}, {address: "127.0.0.1:9004"}]}
- {name: ring, loadBalancer: ring-hash, endpoints: *hosts}
YAML
self_signed "$T/a" DNS:a
weftd_start
PYTHONPATH=$SRC/test/lib python3 - <<'PY'
from http_rig import *

hosts = [Host(9001 + i) for i in range(4)]


def where(path, headers=""):
    """The port that answered; every request by a connection of its own, so that all workers are asked."""
    for h in hosts:
        h.forget()
    r = get(path, headers=headers)
    is_(r.status, 200)
    return next(h.port for h in hosts if h.requests), r


def one_host(path, headers=""):
    found = {where(path, headers)[0] for _ in range(12)}
    is_(len(found), 1, f"{path} {headers}: {found}")
    return found.pop()


def spread(path, headers):
    """Different keys go to different hosts, each key to one."""
    found = {one_host(path.format(i), headers.format(i)) for i in range(16)}
    assert len(found) >= 3, found


@case
def a_header():
    spread("/header", "X-User: u{}\r\n")


@case
def a_query_parameter():
    spread("/param?a=b&user=u{}", "")


@case
def the_clients_address():
    one_host("/address")


@case
def a_cookie_that_the_client_has():
    spread("/cookie", "Cookie: a=b; sid=s{}\r\n")


@case
def a_cookie_that_it_gets():
    values = set()
    for _ in range(8):
        port, r = where("/cookie")
        cookie = r.get("set-cookie")
        assert cookie and cookie.startswith("sid=") and cookie.endswith("; Max-Age=90; Path=/; HttpOnly"), r.headers
        values.add(cookie)
        pair = cookie.split(";")[0]
        is_(one_host("/cookie", f"Cookie: {pair}\r\n"), port, pair)
        assert not where("/cookie", f"Cookie: {pair}\r\n")[1].get("set-cookie")
    is_(len(values), 8)


def words(path, port=8080, headers=""):
    cookie = get(path, port=port, headers=headers).get("set-cookie")
    assert len(cookie.split(";")[0]) == 20, cookie
    return cookie[20:]


@case
def what_the_cookie_says():
    is_(words("/browser"), "; Path=/browser; HttpOnly; SameSite=Lax")
    is_(words("/open"), "; Max-Age=90; Path=/; Secure; SameSite=None")
    is_(words("/cookie", 8081), "; Max-Age=90; Path=/; HttpOnly")
    is_(words("/cookie", 8081, "X-Forwarded-Proto: https\r\n"), "; Max-Age=90; Path=/; Secure; HttpOnly", "TLS ended before")
    is_(words("/cookie", 8080, "X-Forwarded-Proto: https\r\n"), "; Max-Age=90; Path=/; HttpOnly", "says a stranger")
    import ssl
    plain = socket.create_connection(("127.0.0.1", 8443))
    c = Client.__new__(Client)
    Stream.__init__(c, ssl._create_unverified_context().wrap_socket(plain))
    is_(c.ask("/cookie").get("set-cookie")[20:], "; Max-Age=90; Path=/; Secure; HttpOnly")


@case
def what_is_terminal_ends_the_list():
    ports = {one_host("/first", f"X-User: a\r\nX-Other: {i}\r\n") for i in range(6)}
    is_(len(ports), 1)
    assert len({one_host("/first", f"X-Other: {i}\r\n") for i in range(12)}) > 1


run()
PY
weftd_stop
