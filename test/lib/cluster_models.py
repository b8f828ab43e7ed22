# SPDX-License-Identifier: Apache-2.0
"""Random clusters, of each a route that asks for it: cluster_models.py SEED WORKERS BALANCER... > weft.yaml

They have priorities, subsets with fallbacks, places, panic thresholds and checks. Where a balancer hashes, routes have policies.
hosts() are the endpoints; a part of them fails its checks.
"""
import json
import os
import random
import subprocess
import sys

from http_rig import Host, admin, reply

FIRST, HOSTS, CLUSTERS = 9001, 12, 40


def endpoint(r, port):
    return {"address": f"127.0.0.1:{port}", "weight": r.choice([1, 1, 1, 2, 3, 0]), "priority": r.choice([0, 0, 0, 1, 1, 2, 7]),
            "state": r.choice(["ready"] * 6 + ["draining"]), "metadata": {"v": r.choice("12"), "w": r.choice("ab")},
            "locality": r.choice([{"region": "r1", "zone": "z1"}, {"region": "r1", "zone": "z2"}, {"region": "r2", "zone": "z1"}, {}])}


def cluster(r, i, balancers):
    c = {"name": f"c{i}", "loadBalancer": r.choice(balancers), "panicThreshold": r.choice([0, 20, 50, 50, 100]),
         "endpoints": [endpoint(r, p) for p in r.sample(range(FIRST, FIRST + HOSTS), r.randint(1, 8))],
         "locality": {"prefer": r.choice(["any", "any", "region", "zone"])},
         "healthCheck": {"type": "http", "path": "/healthz", "interval": "1s", "timeout": "30s"}}
    if r.random() < 0.6:
        c["subsets"] = {"keys": r.choice([[["v"]], [["w"]], [["v"], ["v", "w"]]]), "fallback": r.choice(["none", "any", "default"])}
        if c["subsets"]["fallback"] == "default":
            c["subsets"]["default"] = {"v": r.choice("12")}
    return c


def rule(r, i, hashed):
    some = [{"header": "x-user", "terminal": r.random() < 0.5}, {"cookie": {"name": "sid"}}, {"queryParam": "k"}, {"sourceIP": True}]
    subset = r.choice([{}, {}, {"v": "1"}, {"v": "2", "w": "a"}, {"w": "b"}, {"v": "9"}, {"x": "1"}])
    return {"matches": [{"path": {"value": f"/{i}"}}], "backends": [{"cluster": f"c{i}", "subset": subset}],
            "hash": r.sample(some, r.randint(1, 3)) if hashed else []}


def model(seed, workers, balancers):
    r = random.Random(seed)
    hashed = {"ring-hash", "maglev"} & set(balancers)
    return {"workers": workers, "kernel": {"mode": "off"}, "node": {"locality": {"region": "r1", "zone": "z1"}},
            "listeners": [{"name": "web", "address": "127.0.0.1:8080", "routes": ["all"]}],
            "routes": [{"name": "all", "rules": [rule(r, i, hashed) for i in range(CLUSTERS)]}],
            "clusters": [cluster(r, i, balancers) for i in range(CLUSTERS)]}


def hosts(r):
    made = [Host(FIRST + i) for i in range(HOSTS)]
    for h in made:
        if r.random() < 0.4:
            h.on["/healthz"] = reply(status="500 No")
    return made


def checked():
    """Every host that takes requests was checked at least once."""
    clusters = json.loads(admin("/clusters"))["clusters"]
    return all("health" in h for c in clusters for h in c["hosts"] if h["state"] == "ready" and h["weight"])


def explain(target, headers=(), more=()):
    words = [w for name, value in headers for w in ("-H", f"{name}: {value}")]
    return json.loads(subprocess.run([os.environ["WEFT"], "explain", "http", "GET", f"http://a{target}", "-o", "json", *more, *words],
                                     capture_output=True, check=True).stdout)


if __name__ == "__main__":
    print(json.dumps(model(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])))
