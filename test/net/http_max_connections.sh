#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# maxConnections of a cluster over several workers: requests wait for a place, and idle connections of any worker are places.
. "$(dirname "$0")/../lib/net.sh"
write_file "$T/weft.yaml" <<YAML
workers: 4
kernel: {mode: off}
listeners:
- {name: web, address: "127.0.0.1:8080", protocol: http, routes: [all]}
- {name: raw, address: "127.0.0.1:8081", protocol: tcp, rules: [{backends: [{cluster: shared}]}]}
- {name: datagrams, address: "127.0.0.1:8082", protocol: udp, rules: [{backends: [{cluster: shared}]}]}
routes:
- name: all
  rules:
  - {matches: [{path: {value: /one}}], backends: [{cluster: one}]}
  - {matches: [{path: {value: /two}}], backends: [{cluster: two}]}
  - {matches: [{path: {value: /few}}], backends: [{cluster: few}]}
  - {matches: [{path: {value: /shared}}], backends: [{cluster: shared}]}
clusters:
- {name: one, endpoints: [{address: "127.0.0.1:9001"}], connectionPool: {maxConnections: 1}}
- {name: two, endpoints: [{address: "127.0.0.1:9002"}], connectionPool: {maxConnections: 2}}
- {name: few, endpoints: [{address: "127.0.0.1:9003"}], connectionPool: {maxConnections: 1, maxPending: 1}}
- {name: shared, endpoints: [{address: "127.0.0.1:9004"}], connectionPool: {maxConnections: 1}}
YAML
weftd_start
PYTHONPATH=$SRC/test/lib python3 - <<'PY'
from http_rig import *

WAIT = 0.9  # seconds that are at least waited before a place is given up: 1, less what clocks and a start may differ
hosts = {name: Host(port) for name, port in (("one", 9001), ("two", 9002), ("few", 9003), ("shared", 9004))}


def served(c, path):
    """200. A machine that stands still may use up the second that a request waits: such a one is sent again."""
    for _ in range(5):
        began = time.monotonic()
        r = c.ask(path)
        if r.status == 200:
            return r
        assert r.status == 503 and b"waited too long" in r.body and time.monotonic() - began > WAIT, (r.status, r.body)
    raise AssertionError("503 five times")


def of_workers(name, path, n):
    """Clients of n different workers: a worker has a connection to the host that none of the others uses."""
    host, found = hosts[name], []
    while len(found) < n:
        c = Client()
        for other in found:
            served(other, path)
            before = host.conns
            served(c, path)
            if host.conns == before:
                break
        else:
            found.append(c)
    return found


@case
def one_place_goes_from_worker_to_worker():
    a, b = of_workers("one", "/one", 2)
    served(a, "/one")
    before = hosts["one"].conns
    for i in range(6):
        served(a, "/one")
        is_(hosts["one"].conns, before + 2 * i, "a connection that is idle here is used")
        served(a, "/one")
        served(b, "/one")
        is_(hosts["one"].conns, before + 2 * i + 1, "the idle one of another worker was closed for a new one")
        served(b, "/one")
        is_(hosts["one"].conns, before + 2 * i + 1, "and that is used again")
        served(a, "/one")
    eventually(lambda: hosts["one"].open == 1)
    for c in (a, b):
        c.close()


@case
def with_a_place_for_each_nobody_takes_anothers():
    a, b, c = of_workers("one", "/one", 3)
    host = hosts["two"]
    for x in (a, b):
        served(x, "/two")
    is_(host.conns, 2)
    for _ in range(10):
        for x in (a, b):
            served(x, "/two")
    is_(host.conns, 2, "two places, two workers")
    served(c, "/two")
    is_(host.conns, 3, "one gave its place up")
    eventually(lambda: host.open == 2)
    served(c, "/two")
    is_(host.conns, 3)
    for x in (a, b, c):
        x.close()


@case
def many_clients_of_all_workers_are_served_with_one_and_two_connections():
    for name, most in (("one", 1), ("two", 2)):
        host, now, peak, wrong = hosts[name], [0], [0], []

        def count(c, r):
            with changed:
                now[0] += 1
                peak[0] = max(peak[0], now[0])
            time.sleep(0.002)  # a host that takes a while: others may come meanwhile
            with changed:
                now[0] -= 1
            answer(c, r, b"ok")

        def client():
            c = Client()
            try:
                for _ in range(10):
                    served(c, "/" + name)
            except Exception as e:
                wrong.append(e)
            c.close()

        host.on["/" + name] = count
        host.forget()
        threads = [threading.Thread(target=client) for _ in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        is_(wrong, [])
        is_(len(host.requests), 80, "each request came once")
        assert peak[0] <= most, (peak, most)
        eventually(lambda: 1 <= host.open <= most)
        host.on.pop("/" + name)


@case
def a_request_waits_for_the_one_before_it():
    go, host = threading.Event(), hosts["few"]
    host.on["/few"] = lambda c, r: (go.wait(LIMIT), answer(c, r, b"ok"))[1]
    first, second, third = Client(), Client(), Client()
    first.send("GET /few HTTP/1.1\r\nHost: a\r\n\r\n")
    eventually(lambda: host.paths() == ["/few"])
    began, waits = time.monotonic(), metric("weft_cluster_waits_total")
    second.send("GET /few HTTP/1.1\r\nHost: a\r\n\r\n")
    eventually(lambda: metric("weft_cluster_waits_total") > waits)
    r = third.ask("/few")
    if time.monotonic() - began < WAIT:
        is_((r.status, b"maxPending" in r.body), (503, True), "no more than maxPending wait")
    r = second.response()
    assert time.monotonic() - began > WAIT, "it waited"
    is_((r.status, b"waited too long for a connection under maxConnections (UO)" in r.body), (503, True), r.body)
    second.send("GET /few HTTP/1.1\r\nHost: a\r\n\r\n")
    eventually(lambda: metric("weft_cluster_waits_total") > waits + 1)
    go.set()
    is_(first.response().status, 200)
    r = second.response()
    assert r.status == 200 or b"waited too long" in r.body, r.body
    served(second, "/few")
    for c in (first, second, third):
        c.close()


@case
def a_client_that_goes_away_waits_no_more():
    go, host = threading.Event(), hosts["few"]
    host.forget()
    host.on["/few"] = lambda c, r: (go.wait(LIMIT), answer(c, r, b"ok"))[1]
    first, second = Client(), Client()
    first.send("GET /few HTTP/1.1\r\nHost: a\r\n\r\n")
    eventually(lambda: host.paths() == ["/few"])
    waits = metric("weft_cluster_waits_total")
    second.send("GET /few HTTP/1.1\r\nHost: a\r\n\r\n")
    eventually(lambda: metric("weft_cluster_waits_total") > waits)
    second.reset()
    eventually(lambda: metric("weft_http_active") == 1)
    go.set()
    is_(first.response().status, 200)
    is_(served(first, "/few").status, 200)
    is_(host.paths(), ["/few"] * 2, "what was given up is not sent")
    first.close()


@case
def a_relayed_connection_that_ends_gives_its_place_to_who_waits():
    raw, c = Client(8081), Client()
    raw.send("GET /shared HTTP/1.1\r\nHost: a\r\n\r\n")
    is_(raw.response().status, 200)
    waits = metric("weft_cluster_waits_total")
    c.send("GET /shared HTTP/1.1\r\nHost: a\r\n\r\n")
    eventually(lambda: metric("weft_cluster_waits_total") > waits)
    raw.close()
    r = c.response()
    assert r.status == 200 or b"waited too long" in r.body, r.body
    served(c, "/shared")
    c.close()


def relayed():
    """A relayed connection that has a place: its host answers. One that waited in vain for a second is tried again."""
    for _ in range(5):
        began, raw = time.monotonic(), Client(8081)
        try:
            raw.send("GET /shared HTTP/1.1\r\nHost: a\r\n\r\n")
            is_(raw.response().status, 200)
            return raw
        except (EOFError, OSError):
            assert time.monotonic() - began > WAIT, "it was let go at once"
    raise AssertionError("never relayed")


@case
def idle_connections_of_any_worker_make_room_for_relayed_ones():
    for _ in range(8):
        c = Client()
        served(c, "/shared")
        relayed().close()
        c.close()


@case
def a_relayed_connection_waits_for_one_that_ends():
    first = relayed()
    waits = metric("weft_cluster_waits_total")
    second = Client(8081)
    second.send("GET /shared HTTP/1.1\r\nHost: a\r\n\r\n")
    eventually(lambda: metric("weft_cluster_waits_total") > waits)
    first.close()
    try:
        is_(second.response().status, 200)
    except (EOFError, OSError):
        relayed().close()
    second.close()


@case
def and_a_second_at_most():
    first, began = relayed(), time.monotonic()
    before = metric("weft_listener_overflow_total")
    second = Client(8081)
    assert second.closed()
    assert time.monotonic() - began > WAIT, "it waited"
    eventually(lambda: metric("weft_listener_overflow_total") == before + 1)
    waits = metric("weft_cluster_waits_total")
    left = Client(8081)
    eventually(lambda: metric("weft_cluster_waits_total") > waits)
    left.reset()
    first.close()
    relayed().close()


@case
def an_idle_connection_of_the_same_worker_makes_room_for_a_session():
    host = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    host.bind(("127.0.0.1", 9004))
    host.settimeout(LIMIT)
    c = Client()
    served(c, "/shared")
    clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(60)]     # of every worker some
    for i, s in enumerate(clients):
        s.sendto(str(i).encode(), ("127.0.0.1", 8082))
    is_(host.recv(10).isdigit(), True)
    c.close()


run()
PY
weftd_stop
