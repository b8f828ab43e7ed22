# SPDX-License-Identifier: Apache-2.0
"""
One node: an HTTP request from a client's pod to a server's, by four paths: the bare bridge, a ClusterIP as kube-proxy makes it
(nft), through nginx, and through weft, which the client's connect() finds in its own pod and whose both hops are
short-circuited (asserted). Costs are of all that takes part.
"""
import argparse
import os
import re
import statistics
import subprocess
import sys
import threading
import time

from bench import QUICK, Failed, Report, interleave, say
from l7 import Load, Rig, tail
from node import Place, Unix
from proxies import Nginx, Relay, Weft

import http.client
import json

SECONDS, ROUNDS = (1, 2) if QUICK else (2, 7)
PLAIN, MESH = 9001, 9002                     # ports of the server outside and inside the captured cgroup
NODE, SERVER = "10.244.0.254", "10.244.0.2"
SERVICE = "10.96.0.50"                       # with routes: weft's


class NodeRig(Rig):
    """The server listens in its pod, twice: the one that weft captures, and one that it does not."""
    listen, server = NODE, SERVER

    def __init__(self, args):
        self.plain = Place(f"{args.cgroup}/plain")
        self.pods = {side: {pod: Place(f"{args.cgroup}/{side}/{pod}", pod) for pod in ("client", "server")}
                     for side in ("mesh", "plain")}
        self.weftd, self.floor = (Place(f"{args.cgroup}/mesh/{who}") for who in ("weftd", "floor"))
        self.servers = {}
        self.key = self.cert = self.pem = os.path.join(args.scratch, "none")
        self.build, self.scratch, self.cgroup, self.envoy = args.build, args.scratch, args.cgroup, ""
        os.chmod(self.scratch, 0o755)
        self.log = open(os.path.join(self.scratch, "backend.log"), "a")
        for side, port in (("plain", PLAIN), ("mesh", MESH)):
            argv = [f"{self.build}/test/perf/backend", port, "0.0.0.0"]
            self.servers[side] = self.pods[side]["server"].spawn(argv, stdout=self.log, stderr=self.log)
        for port in (PLAIN, MESH):
            self.wait_at(SERVER, port)

    def spawn(self, cpu, argv, log):
        """A proxy: on the node, weft's own in the captured cgroup."""
        place = self.weftd if "weftd" in argv[0] else self.floor if "relay" in argv[0] else self.plain
        return place.spawn(["taskset", "-c", cpu, *argv], stdout=log, stderr=log)

    def wait_at(self, address, port, proxy=None, limit=30):
        until = time.monotonic() + limit
        while subprocess.run(["nc", "-z", "-w", "1", address, str(port)], capture_output=True).returncode:
            if time.monotonic() > until or (proxy and proxy.process.poll() is not None):
                raise Failed(f"{address}:{port} does not answer" + (f": {tail(proxy.log.name)}" if proxy else ""))
            time.sleep(0.05)

    def wait_port(self, proxy, port, limit=30):
        self.wait_at(NODE, port, proxy, limit)


class NodeNginx(Nginx):
    backend = PLAIN

    def config(self, generation):
        kept = re.sub(r"  server \{\n    listen [^\n]*ssl.*?\n  \}\n", "", super().config(generation), flags=re.S)
        return re.sub(r"stream \{.*", "", kept, flags=re.S)


class NodeFloor(Relay):
    """In the captured cgroup as a workload, so that its hops are short-circuited as weft's are."""

    def version(self):
        return "floor (short-circuited)"

    def command(self):
        return [f"{self.rig.build}/test/perf/relay", "-l", f"{NODE}:{self.port['h1']}", "-u", f"{SERVER}:{MESH}"]


class NodeWeft(Weft):
    ports = ("h1",)
    socket = "/run/weft/admin.sock"

    def __init__(self, rig):
        super().__init__(rig)
        rows = "".join(f"- {{name: {w}, cgroup: /{w}, shortCircuit: {{splice: never}}}}\n" for w in ("client", "server", "floor"))
        self.kernel = f"kernel: {{cgroup: {rig.cgroup}/mesh}}\nworkloads:\n{rows}"

    def config(self, generation):
        return f"""
listeners: [{{name: h1, address: "{NODE}:{self.port["h1"]}", protocol: http, routes: [h1]}}]
services: [{{name: h1, addresses: [{SERVICE}], ports: [{{port: 80}}], cluster: b, routes: [h1], failMode: closed}}]
routes: [{{name: h1, hosts: ["*"], rules: [{{backends: [{{cluster: b}}]}}]}}]
clusters:
- name: b
  endpoints: [{{address: "{SERVER}:{MESH}"}}]
  connectionPool: {{maxConnections: 0, maxPending: 0, maxRequests: 0}}
"""

    def get(self, path):
        c = Unix(self.socket)
        c.request("GET", path)
        return json.loads(c.getresponse().read())

    def start(self):
        super().start()
        self.pod = self.rig.pods["mesh"]["client"].spawn(["sleep", "infinity"])     # its first process
        until = time.monotonic() + 60
        while self.get("/kernel")["rung"] != "full" or self.get("/stats")["pods"]["open"] < 3:    # with the node's own
            if time.monotonic() > until:
                raise Failed(f"no short-circuit, or no listener in the pod: {self.get('/kernel')['why']}")
            time.sleep(0.1)

    def stop(self):
        super().stop()
        self.pod.kill()
        self.pod.wait()
        subprocess.run([f"{self.rig.build}/weft", "kernel", "detach"], capture_output=True, timeout=60)

    def messages(self):
        """Redirected so far on open connections: requests of the client, and messages in all. No direction may use the stack."""
        requests = n = 0
        for c in self.get("/connections")["connections"]:
            for way in ("sent", "received") if c["state"] == "open" else ():
                if c[way]["path"] == "stack":
                    raise Failed(f"{c['client']} to {c['server']}: {way} by the stack: {c[way]['reason']}")
                n += c[way]["messages"]
                requests += c[way]["messages"] if (c["client"], way) == ("client", "sent") else 0
        return requests, n


class Watch(threading.Thread):
    """Redirects for each request in the middle of a load, by two looks at the connections."""

    def __init__(self, weft, seconds):
        super().__init__(daemon=True)
        self.weft, self.seconds, self.rate, self.why = weft, seconds, None, None
        self.start()

    def run(self):
        try:
            time.sleep(self.seconds * 0.4)
            first = self.weft.messages()
            time.sleep(self.seconds * 0.3)
            requests, n = (b - a for a, b in zip(first, self.weft.messages()))
            self.rate = n / requests if requests else 0.0
        except (Failed, OSError, http.client.HTTPException) as e:
            self.why = e


def machine_ns():
    """All that was not idle since boot, in ticks of 10 ms: +-2 % of a sample."""
    with open("/proc/stat") as f:
        user, nice, system, _, _, irq, softirq = map(int, f.readline().split()[1:8])
    return (user + nice + system + irq + softirq) * 10 ** 9 // os.sysconf("SC_CLK_TCK")


class Path:
    def __init__(self, rig, name, side, url, proxy=None):
        self.rig, self.name, self.side, self.url, self.proxy = rig, name, side, url, proxy

    def server_ns(self):
        with open(f"/proc/{self.rig.servers[self.side].pid}/schedstat") as f:
            return int(f.read().split()[0])

    def run(self, connections, client_cpu, server_cpu, seconds):
        """(Load, ns of client, server and proxy, ns of the machine, ns of the proxy, redirects a request)"""
        os.sched_setaffinity(self.rig.servers[self.side].pid, {server_cpu})
        place = self.rig.pods[self.side]["client"]
        argv = ["taskset", "-c", client_cpu, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", self.url]
        watch = Watch(self.rig.weft, seconds) if self.side == "mesh" and connections > 1 else None
        before, machine = (self.server_ns(), self.proxy.cpu_ns() if self.proxy else 0), machine_ns()
        p = place.spawn(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        out = p.stdout.read()
        _, _, used = os.wait4(p.pid, 0)
        p.returncode = 0
        machine = machine_ns() - machine
        own = self.proxy.cpu_ns() - before[1] if self.proxy else 0
        load = Load(out)
        if load.errors + load.refused:
            raise Failed(f"{self.name}: {load.errors} socket errors, {load.refused} refused")
        if watch:
            watch.join()
            if watch.why:
                raise Failed(f"{self.name}: {watch.why}")
        everybody = (used.ru_utime + used.ru_stime) * 1e9 + self.server_ns() - before[0] + own
        return load, everybody, machine, own, watch.rate if watch else None


def many(path):
    """64 connections: the proxy alone on processor 0, else the client; the server on 1, with the client if there is a proxy."""
    load, everybody, machine, own, redirects = path.run(64, 1 if path.proxy else 0, 1, SECONDS)
    if redirects is not None and not 3.8 < redirects < 4.2:
        raise Failed(f"{redirects:.2f} redirects a request, wanted 4: a hop is not short-circuited")
    return {"all": everybody / 1000 / load.requests, "machine": machine / 1000 / load.requests, "own": own / 1000 / load.requests, "time": 1e6 / load.per_s,
            "redirects": redirects, "per_s": load.per_s}


def single(path, server_cpu):
    return {"p50": path.run(1, 0, server_cpu, 1)[0].p50}


def report_all(report, paths, got):
    weft, bridge, cluster, nginx, floor = paths

    def line(case, job, key, unit, peer, aim=None, **more):
        report.pairs(case, peer.name, unit, [s[key] for s in got[job, weft]], [s[key] for s in got[job, peer]], aim, **more)

    redirects = statistics.median(s["redirects"] for s in got["many", weft])
    for peer, aim in ((bridge, 0.95), (cluster, None), (nginx, None), (floor, None)):
        line("node-64-machine", "many", "machine", "us cpu of the machine/req", peer, aim, redirects_per_req=redirects)
    for peer in (bridge, cluster, nginx, floor):
        line("node-64-cpu", "many", "all", "us cpu of all/req", peer)
    for peer, aim in ((bridge, 1 / 1.05), (cluster, None), (nginx, None), (floor, None)):
        line("node-64-time", "many", "time", "us/req", peer, aim)
    for peer, aim in ((nginx, 0.5), (floor, None)):
        line("node-64-proxy-cpu", "many", "own", "us cpu of proxy/req", peer, aim)
    for job, case, aim in (("one", "node-trip-1cpu", 1.3), ("across", "node-trip-2cpu", 1.0)):
        line(case, job, "p50", "us p50", bridge, aim)
        line(case, job, "p50", "us p50", cluster, 1.0)
        line(case, job, "p50", "us p50", nginx)
        line(case, job, "p50", "us p50", floor)


def main():
    a = argparse.ArgumentParser()
    for name in ("build", "scratch", "cgroup"):
        a.add_argument(f"--{name}", required=True)
    args = a.parse_args()
    report = Report()
    say(f"load {report.load:.2f}, {os.cpu_count()} CPUs, Linux {os.uname().release}")
    rig = NodeRig(args)
    weft, nginx, floor = NodeWeft(rig), NodeNginx(rig), NodeFloor(rig)
    rig.weft = weft
    paths = [Path(rig, "weft", "mesh", f"http://{SERVICE}/", weft),
             Path(rig, "veth+bridge", "plain", f"http://{SERVER}:{PLAIN}/"),
             Path(rig, "ClusterIP by nft", "plain", "http://10.97.0.10/"),
             Path(rig, nginx.version(), "plain", f"http://{NODE}:{nginx.port['h1']}/", nginx),
             Path(rig, floor.version(), "mesh", f"http://{NODE}:{floor.port['h1']}/", floor)]
    jobs = {"many": many, "one": lambda p: single(p, 0), "across": lambda p: single(p, 1)}
    got = {(j, p): [] for j in jobs for p in paths}
    try:
        for p in (weft, nginx, floor):
            p.start()
        for p in paths:
            p.run(64, 1, 1, 1)               # warm
        say("all paths answer")
        interleave(ROUNDS, list(jobs), paths, lambda j, p, r: got[j, p].append(jobs[j](p)), 40 if QUICK else 200)
        report_all(report, paths, got)
    finally:
        for p in (weft, nginx, floor):
            p.stop()
        for p in rig.servers.values():
            p.terminate()
    report.summary()


if __name__ == "__main__":
    try:
        main()
    except Failed as e:
        sys.exit(f"bench: {e}")
