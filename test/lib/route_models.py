# SPDX-License-Identifier: Apache-2.0
"""Random routes, and requests that meet them: route_models.py model SEED > weft.yaml; route_models.py ask SEED SOCKET

Few words, so that conditions and requests meet. Each listener has routes of its own; every cluster is one port here.
"""
import collections
import json
import random
import socket
import sys
import urllib.parse

from http_rig import Client, Host, LIMIT

LISTENERS, REQUESTS, CLUSTERS, FIRST_PORT, FIRST_HOST = 30, 25, 5, 20000, 21000
HOSTS = ["*", "a.example", "*.example", "A.example:8080", "*.a.example", "b.example"]
ASKED = ["a.example", "x.example", "y.a.example", "a.example:8080", "b.example", "other", "B.EXAMPLE."]
PATHS = ["/", "/v2", "/v2/users", "/v20", "/a", "/a/"]
ASKED_PATHS = ["/", "/v2", "/v2/", "/v2/users/7", "/v20", "/v2x", "/a", "/a/b", "/a/../v2/./x", "/%61/%7e", "//a//b", "/x%2fy", "/a%00"]
NAMES, VALUES = ["x-a", "x-b", "g"], ["1", "12", "v1", "bob", "-3"]


def condition(r, header):
    t = r.choice(["Exact", "Exact", "Prefix", "Suffix", "Contains", "Present", "Absent", "Range", "RegularExpression"])
    c = {"name": r.choice(NAMES), "type": t}
    if t == "Range":
        c.update(low=r.choice([-7, 0, 1]), high=r.choice([2, 13]))
    elif t == "RegularExpression":
        c["value"] = r.choice(["[0-9]+", "v.*", "(?i)BOB", "1|12"])
    elif t not in ("Present", "Absent"):
        c["value"] = r.choice(VALUES)
    return c


def match(r):
    m = {}
    if r.random() < 0.8:
        t = r.choice(["PathPrefix", "PathPrefix", "Exact", "RegularExpression"])
        m["path"] = {"type": t, "value": r.choice(["/v[0-9]+.*", "/a/?.*"] if t == "RegularExpression" else PATHS)}
    if r.random() < 0.25:
        m["method"] = r.choice(["GET", "PUT"])
    for kind in ("headers", "queryParams", "cookies"):
        if r.random() < 0.25:
            m[kind] = [condition(r, kind) for _ in range(r.choice([1, 1, 2]))]
    return m


def path_change(r, prefixes, regex):
    t = r.choice(["ReplaceFullPath"] + ["ReplacePrefixMatch"] * prefixes + ["ReplaceRegularExpression"] * regex)
    p = {"type": t, "value": r.choice(["/to", "/to/x/"])}
    if t == "ReplaceRegularExpression":
        p.update(pattern="/(a|v2)(.*)", value="/$1-new$2")
    return p


def rule(r):
    matches = [match(r) for _ in range(r.choice([0, 1, 1, 2, 3]))]
    prefixes = bool(matches) and all(m.get("path", {}).get("type") == "PathPrefix" for m in matches)
    what, filters = r.random(), []
    out = {"matches": matches, "filters": filters}
    if what < 0.15:
        redirect = {"type": "RequestRedirect", "statusCode": r.choice([301, 302, 308])}
        if r.random() < 0.5:
            redirect["path"] = path_change(r, prefixes, False)
        if r.random() < 0.5:
            redirect["scheme"] = "https"
        if r.random() < 0.3:
            redirect.update(hostname="to.example", port=r.choice([80, 8443]))
        filters.append(redirect)
        return out
    if what < 0.25:
        filters.append({"type": "DirectResponse", "status": r.choice([404, 410, 200]), "body": "direct\n"})
        return out
    if r.random() < 0.3:
        filters.append({"type": "RequestHeaderModifier", "set": [{"name": "x-a", "value": "set"}],
                        "add": [{"name": "x-added", "value": "1"}], "remove": ["x-b"]})
    if r.random() < 0.4:
        rewrite = {"type": "URLRewrite"}
        if r.random() < 0.7:
            rewrite["path"] = path_change(r, prefixes, True)
        if r.random() < 0.5 or "path" not in rewrite:
            rewrite["hostname"] = "inner.example"
        filters.append(rewrite)
    names = r.sample(range(CLUSTERS), r.choice([1, 1, 2, 3]))
    out["backends"] = [{"cluster": f"c{n}", "weight": r.choice([0, 1, 1, 2, 5])} for n in names]
    return out


def model(seed):
    r = random.Random(f"model {seed}")
    listeners, routes = [], []
    for i in range(LISTENERS):
        names = [f"r{i}-{k}" for k in range(r.choice([1, 2, 3]))]
        listeners.append({"name": f"l{i}", "address": f"127.0.0.1:{FIRST_PORT + i}", "protocol": "http", "routes": names,
                          "mergeSlashes": r.random() < 0.5, "escapedSlashes": r.choice(["keep", "reject"])})
        for name in names:
            routes.append({"name": name, "hosts": r.sample(HOSTS, r.choice([1, 2])),
                           "rules": [rule(r) for _ in range(r.choice([1, 2, 4]))]})
    clusters = [{"name": f"c{n}", "endpoints": [{"address": f"127.0.0.1:{FIRST_HOST + n}"}]} for n in range(CLUSTERS)]
    return {"workers": 1, "kernel": {"mode": "off"}, "listeners": listeners, "routes": routes, "clusters": clusters}


def request(r):
    query = "&".join(f"{r.choice(NAMES)}={r.choice(VALUES)}" for _ in range(r.choice([0, 0, 1, 2])))
    headers = [(r.choice(NAMES[:2]), r.choice(VALUES)) for _ in range(r.choice([0, 1, 2]))]
    if r.random() < 0.3:
        headers.append(("cookie", f"g={r.choice(VALUES)}; x-a={r.choice(VALUES)}"))
    return {"method": r.choice(["GET", "GET", "PUT"]), "host": r.choice(ASKED),
            "path": r.choice(ASKED_PATHS) + ("?" + query if query else ""), "headers": headers}


# ---- what is foretold, and what happens


def explain(sock, q, listener):
    query = urllib.parse.urlencode({"http": q["method"], "url": f"http://{q['host']}{q['path']}", "listener": listener,
                                    "headers": "".join(f"{k}: {v}\n" for k, v in q["headers"])})
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(LIMIT)
    s.connect(sock)
    s.sendall(f"GET /explain?{query} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    data = b""
    while piece := s.recv(65536):
        data += piece
    head, body = data.split(b"\r\n\r\n", 1)
    return int(head.split(b" ")[1]), json.loads(body)


def own(headers):
    return [[k.lower(), v] for k, v in headers if k.lower() in ("x-a", "x-b", "x-added", "cookie")]


def forwarded(client, hosts, q, told):
    """As many requests as the weights add up to: each backend gets its own number, each request is as foretold."""
    weights = {b["cluster"]: b["weight"] for b in told["backends"]}
    for h in hosts:
        h.forget()
    for _ in range(sum(weights.values())):
        answer = send(client, q)
        assert answer.status == 200, (answer.line, answer.body)
    got = {f"c{n}": len(h.requests) for n, h in enumerate(hosts) if h.requests}
    assert got == {c: w for c, w in weights.items() if w}, (got, weights)
    for seen in (x for h in hosts for x in h.requests):
        want = told["forwarded"]
        assert (seen.method, seen.path) == (want["method"], want["path"]), (seen.method, seen.path, want)
        assert seen.get("host") == [want["authority"]], (seen.headers, want)
        assert own(seen.headers) == own(want["headers"]), (seen.headers, want)


def send(client, q):
    return client.ask(q["path"], q["method"], "".join(f"{k}: {v}\r\n" for k, v in q["headers"]), host=q["host"])


def check(sock, hosts, q, i):
    status, told = explain(sock, q, f"l{i}")
    client = Client(FIRST_PORT + i)
    try:
        if status == 400:
            assert "answers 400" in told["error"], told
            assert send(client, q).status == 400
            return "refused"
        kind = told["outcome"]["type"]
        if kind == "forward":
            forwarded(client, hosts, q, told)
            return kind
        answer = send(client, q)
        assert answer.status == told["outcome"]["status"], (answer.line, answer.body)
        if kind == "redirect":
            assert answer.get("location") == told["outcome"]["location"], answer.headers
        if kind == "direct":
            assert answer.body.decode() == told["outcome"]["body"], answer.body
        return f"{kind} {answer.status}"
    finally:
        client.close()


def ask(seed, sock):
    r = random.Random(f"requests {seed}")
    hosts = [Host(FIRST_HOST + n) for n in range(CLUSTERS)]
    counts = collections.Counter()
    for i in range(LISTENERS):
        for _ in range(REQUESTS):
            q = request(r)
            try:
                counts[check(sock, hosts, q, i)] += 1
            except Exception as e:
                sys.exit(f"SEED={seed}, listener l{i}, {q}: {type(e).__name__}: {e}")
    print(f"SEED={seed}: {dict(counts)}")
    # Models in which nothing of a kind happens would prove nothing about it.
    missing = [k for k in ("forward", "error 404", "refused") if counts[k] < 10] + \
        [k for k in ("redirect", "direct") if not any(c.startswith(k) for c in counts)]
    sys.exit(f"SEED={seed}: hardly any of {missing}" if missing else 0)


if __name__ == "__main__":
    if sys.argv[1] == "model":
        print(json.dumps(model(sys.argv[2])))
    else:
        ask(sys.argv[2], sys.argv[3])
