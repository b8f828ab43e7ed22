#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Case l4: the kernel path beside the same path without weft. Started by case_l4.sh.

Both sides are the same two pods, the same programs and the same processors. The weft side runs in a cgroup that weft is
attached to and dials service addresses; the plain side runs in a cgroup outside of it and dials what weft would have
chosen. Every sample is checked against the daemon's counters: what it says it did, and that it did not touch the other.
"""
import argparse
import os
import statistics
import sys
import time

import services
from bench import QUICK, Failed, Report, interleave, say
from node import Daemon, Place, memory, tasks

ROUNDS, SECONDS = (2, 0.12) if QUICK else (11, 0.2)
LIMIT = 20 if QUICK else 130                    # seconds after which no further round begins
STARTS, CHANGES = (2, 5) if QUICK else (3, 20)
FILES, PER_FILE, ENDPOINTS = 100, 100, 10
STREAM_CONNS = 64
SERVER = "10.244.0.2"                           # pod_add gives addresses in order
PORTS = {"plain": 7001, "weft": 7002}
VIPS = {"pods": "10.96.0.1", "loopback": "10.96.0.2"}
DIRECT = {"pods": SERVER, "loopback": "127.0.0.1"}
PEER = {"pods": "veth+bridge", "loopback": "loopback"}

CONFIG = """\
kernel:
  cgroup: {mesh}
  shortCircuit: {{enabled: auto}}
workloads:
- {{name: client, cgroup: {mesh}/client, shortCircuit: {{splice: never}}}}
- {{name: server, cgroup: {mesh}/server, shortCircuit: {{splice: never}}}}
- {{name: stacked, cgroup: {mesh}/stacked, shortCircuit: {{enabled: false}}}}
registries:
- {{name: files, type: file, path: {folder}}}
"""

SERVICE = "- {{name: {name}.bench, addresses: [{vip}], ports: [{{port: 80, protocol: TCP}}], cluster: {name}}}\n"
CLUSTER = '- {{name: {name}, endpoints: [{{address: "{ip}:{port}"}}]}}\n'


def bench_file(paths):
    return ("services:\n" + "".join(SERVICE.format(name=p, vip=VIPS[p]) for p in paths) +
            "clusters:\n" + "".join(CLUSTER.format(name=p, ip=DIRECT[p], port=PORTS["weft"]) for p in paths))


class Job:
    """One kind of work on one path, and its samples by side."""

    def __init__(self, name, verb, path, cpus, size=0, conns=1, role="client"):
        self.name, self.verb, self.path, self.size, self.conns = name, verb, path, size, conns
        self.role = role                        # the client's cgroup
        self.cpus = cpus                        # client's, server's
        self.samples = {"plain": [], "weft": []}

    def args(self):
        sizes = ["-s", self.size, "-n", self.conns] if self.size else []
        return [self.verb, *sizes, "-t", SECONDS, "-c", self.cpus[0]]

    def each(self, side, key):
        return [key(s) if callable(key) else s[key] for s in self.samples[side]]


class Case:
    def __init__(self, o):
        self.o, self.report = o, Report(aims=not o.null)
        self.load = os.path.join(o.build, "test/perf/load/load")
        self.watch = os.path.join(o.build, "test/perf/watch")
        self.mesh = os.path.join(o.cgroup, "mesh")
        self.folder = os.path.join(o.scratch, "services.d")
        self.daemon = None if o.null else Daemon(o.build, o.scratch, Place(os.path.join(o.cgroup, "weftd")))
        self.roots = {"weft": self.mesh, "plain": os.path.join(o.cgroup, "plain")}
        self.servers = {}
        cpus = sorted(os.sched_getaffinity(0))
        self.one, self.two = (cpus[-1], cpus[-1]), (cpus[0], cpus[-1]) if len(cpus) > 1 else None

    # ---- the two sides

    def place(self, side, role, path="loopback"):
        """On loopback both ends are in the server's pod."""
        return Place(os.path.join(self.roots[side], role), "client" if path == "pods" else "server")

    def serve(self):
        for side, port in PORTS.items():
            log = os.path.join(self.o.scratch, f"server-{side}.log")
            with open(log, "w") as f:
                p = self.place(side, "server").spawn([self.load, "serve", "-a", "0.0.0.0", "-p", port], stdout=f, stderr=f)
            until = time.monotonic() + 10
            while "ready" not in open(log).read():
                if p.poll() is not None or time.monotonic() > until:
                    raise Failed(f"server of {side} does not run: {open(log).read()}")
                time.sleep(0.01)
            self.servers[side] = p.pid

    def target(self, side, path):
        if side == "plain" or self.o.null:
            return [DIRECT[path], PORTS[side]]
        return [VIPS[path], 80]

    def run(self, job, side, _round):
        server = self.servers[side]
        os.sched_setaffinity(server, {job.cpus[1]})
        ip, port = self.target(side, job.path)
        before = self.counters()
        got = self.place(side, job.role, job.path).answer(
            [self.load, *job.args(), "-a", ip, "-p", port, "-P", server])
        if self.daemon:
            (self.check_weft if side == "weft" else self.check_plain)(job, got, before)
        job.samples[side].append(got)

    # ---- each side is what it claims

    def counters(self):
        return self.daemon.reasons() if self.daemon else {}

    def grown(self, before):
        return {k: v - before.get(k, 0) for k, v in self.counters().items() if v != before.get(k, 0)}

    def check_plain(self, job, _got, before):
        grown = self.grown(before)
        if grown:
            raise Failed(f"{job.name}: the plain side was touched by weft: {grown}")

    def check_weft(self, job, got, before):
        dials = got["dials"] + got["warm"] if job.verb == "dials" else job.conns
        closed = 0
        for _ in range(100):
            grown = self.grown(before)
            closed = sum(n for k, n in grown.items() if k not in ("translated", "event_lost"))
            if closed >= dials:
                break
            time.sleep(0.01)
        got["reasons"] = grown
        if lost := grown.get("event_lost"):
            say(f"{job.name}: {lost} records of closed connections were lost")
        if grown.get("translated", 0) < dials or closed < dials:
            raise Failed(f"{job.name}: {dials} connections, but the kernel counted {grown}")
        if job.verb != "trips":
            return
        bytes_ = self.redirected(job.conns)
        got["redirected"] = bytes_
        want = (got["trips"] + got["warm"]) * job.size
        if grown.get("accelerated", 0) < job.conns or min(bytes_) < 0.95 * want:
            raise Failed(f"{job.name}: {want} bytes each way, redirected {bytes_}; {grown}")

    def redirected(self, conns):
        """Bytes of the connections that closed last, client to server and back; their records may lag a little."""
        for _ in range(100):
            if len(self.daemon.get("/connections")["connections"]) >= conns:
                break
            time.sleep(0.01)
        time.sleep(0.02)
        last = [c for c in self.daemon.get("/connections")["connections"] if c["state"] == "closed"][:conns]
        return [sum(c[way]["bytes"] for c in last) for way in ("sent", "received")]

    # ---- what is measured with two services

    def traffic_jobs(self):
        jobs = []
        for path in PEER:
            for size in (100, 4096):
                jobs.append(Job(f"l4-trip-{size}-{path}-1cpu", "trips", path, self.one, size))
                if self.two:
                    jobs.append(Job(f"l4-trip-{size}-{path}-2cpu", "trips", path, self.two, size))
                jobs.append(Job(f"l4-load-{size}-{path}", "trips", path, self.two or self.one, size, STREAM_CONNS))
            for size in (1024, 65536):
                jobs.append(Job(f"l4-stream-{size}-{path}", "stream", path, self.two or self.one, size))
        return jobs

    def measure(self, jobs):
        interleave(ROUNDS, jobs, ["plain", "weft"], self.run, LIMIT)

    def report_traffic(self, jobs):
        for j in jobs:
            if j.verb == "stream":
                self.report_stream(j)
            elif j.conns == 1:
                self.report_trip(j)
            else:
                self.report_load(j)

    def pairs(self, case, j, unit, key, aim=None, **more):
        self.report.pairs(case, PEER[j.path], unit, j.each("weft", key), j.each("plain", key), aim, **more)

    def medians(self, j, **keys):
        """Side values beside the figure itself: NAME of weft, NAME_peer of the other."""
        out = {}
        for name, key in keys.items():
            out[name] = statistics.median(j.each("weft", key))
            out[name + "_peer"] = statistics.median(j.each("plain", key))
        return out

    def report_trip(self, j):
        self.pairs(j.name, j, "us p50", "trip_p50", 0.55 if j.path == "pods" else 0.65, stretch=0.45,
                   **self.medians(j, p99="trip_p99", cpu_us=cpu, per_s="per_s"))

    def report_load(self, j):
        more = {"connections": j.conns, **self.medians(j, per_s="per_s", p50="trip_p50", p99="trip_p99")}
        self.pairs(j.name + "-time", j, "us/req", lambda s: 1e6 / s["per_s"], **more)
        self.pairs(j.name + "-cpu", j, "us cpu/req", cpu, **self.medians(j, machine_us="machine_us", client_us="client_us"))

    def report_stream(self, j):
        # 0.97 of the throughput is 1/0.97 of the time.
        self.pairs(j.name, j, "ns/byte", "ns_per_byte", round(1 / 0.97, 4),
                   **self.medians(j, gbit_per_s="gbit_per_s", cpu_us_per_kib=cpu))

    # ---- connect()

    def connects(self, count):
        cpus = self.two or self.one
        jobs = [Job(f"l4-connect-{count}", "dials", "pods", cpus),
                Job(f"l4-connect-{count}-balanced", "dials", "pods", cpus, role="stacked")]
        self.measure(jobs)
        for job in jobs:
            # Without pairing there is no aim: the line tells what the balancer's part of connect() is.
            aim = 1.05 if job.role == "client" else None
            self.pairs(job.name, job, "us p50", "connect_p50", aim,
                       **self.medians(job, p90="connect_p90", p99="connect_p99", per_s="per_s"))
            self.pairs(job.name + "-close", job, "us p50", "whole_p50", aim,
                       **self.medians(job, p99="whole_p99", cpu_us=cpu))

    # ---- scale

    def wait_services(self, count):
        until = time.monotonic() + 60
        while (have := self.daemon.get("/stats")["kernel"]["services"]) != count:
            if time.monotonic() > until:
                raise Failed(f"{have} services in the kernel after a minute, wanted {count}")
            time.sleep(0.02)

    def wait_full(self):
        """Until the known-answer tests have let the short-circuit in."""
        until = time.monotonic() + 30
        while (k := self.daemon.get("/kernel"))["rung"] != "full":
            if time.monotonic() > until:
                raise Failed(f"no short-circuit here: {k['summary']}")
            time.sleep(0.05)

    def put_file(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path + ".new~", "w") as f:
            f.write(text)
        os.rename(path + ".new~", path)

    def grow(self):
        count = FILES * PER_FILE
        say(f"{count} services of {ENDPOINTS} endpoints")
        services.write(self.folder, FILES, PER_FILE, ENDPOINTS)
        self.wait_services(count + 1)

    def change(self, version):
        """One endpoint of one service moves: time until the maps show it, and map writes."""
        fresh = os.path.join(self.o.scratch, "part-0.yaml")
        with open(fresh, "w") as f:
            f.write(services.part(0, PER_FILE, ENDPOINTS, version))
        before = self.daemon.get("/stats")["kernel"]["writes"]
        got = self.daemon.place.answer([self.watch, self.pins(), fresh, os.path.join(self.folder, "part-0.yaml"),
                                        services.address(0) + ":80", services.moved(version)])
        time.sleep(0.3)                         # what is left over is removed after a grace period
        return got["ms"], self.daemon.get("/stats")["kernel"]["writes"] - before

    def pins(self):
        for m in self.daemon.get("/kernel")["maps"]:
            if m["name"] == "service_map" and m["pin"]:
                return os.path.dirname(m["pin"])
        raise Failed("service_map is not pinned")

    def changes(self):
        say("changes of one endpoint")
        got = [self.change(i + 1) for i in range(CHANGES)]
        ms, writes = [g[0] for g in got], [g[1] for g in got]
        entries = FILES * PER_FILE * (2 + ENDPOINTS)
        self.report.put("l4-change", "aim", "ms", statistics.median(ms), 50.0, [m / 50 for m in ms], 1.0, len(ms),
                        worst=max(ms))
        # A backend in, a table, a service, a backend out; a second service entry or row is still the difference.
        self.report.put("l4-change-writes", f"all {entries} entries", "map writes", statistics.median(writes), entries,
                        [w / entries for w in writes], round(8 / entries, 8), len(writes), worst=max(writes))

    def sizes(self):
        pids = tasks(self.daemon.process.pid)
        agent, rest = memory(pids[0]), [memory(p) for p in pids[1:]]
        self.report.put("l4-agent-rss", "aim", "MB", agent["VmRSS"], 60.0, aim=1.0, peak=agent["VmHWM"],
                        proxy=sum(m["VmRSS"] for m in rest))
        maps = {m["name"]: m["bytes"] / 1e6 for m in self.daemon.get("/kernel")["maps"]}
        top = sorted(maps, key=maps.get, reverse=True)[:5]
        self.report.put("l4-maps", "aim", "MB", sum(maps.values()), 120.0, aim=1.0,
                        largest=", ".join(f"{m} {maps[m]:.1f}" for m in top))

    def starts(self):
        say("starts")
        for word, fresh in (("restart", False), ("start", True)):
            seconds = []
            for _ in range(STARTS):
                self.daemon.stop()
                if fresh:
                    self.daemon.detach()
                seconds.append(self.daemon.start())
                have = self.daemon.get("/stats")["kernel"]["services"]
                if have != FILES * PER_FILE + 1:
                    raise Failed(f"ready with {have} services in the kernel")
            self.report.put(f"l4-{word}", "aim", "s to /ready", statistics.median(seconds), 1.0, seconds, 1.0, STARTS)

    # ---- where the time goes, in a pass of its own: counting run time costs some itself

    def breakdown(self):
        say("run time of the programs")
        jobs = [Job("l4-load-100-pods", "trips", "pods", self.two or self.one, 100, STREAM_CONNS),
                Job("l4-connect", "dials", "pods", self.two or self.one)]
        with open("/proc/sys/kernel/bpf_stats_enabled", "w") as f:
            f.write("1\n")
        try:
            for job in jobs:
                before = self.programs()
                self.run(job, "weft", 0)
                got = job.samples["weft"][-1]
                units = got["warm"] + (got["trips"] if job.verb == "trips" else got["dials"])
                for name, (runs, ns) in self.programs().items():
                    r, n = runs - before.get(name, (0, 0))[0], ns - before.get(name, (0, 0))[1]
                    if r >= units / 10:
                        say(f"  {job.name:18} {name:16} {r / units:6.2f} runs, {n / units:8.1f} ns per "
                            f"{'trip' if job.verb == 'trips' else 'connection'} ({n / r:.0f} ns a run)")
        finally:
            with open("/proc/sys/kernel/bpf_stats_enabled", "w") as f:
                f.write("0\n")

    def programs(self):
        return {p["name"]: (p["runs"], p["runs"] * p["nsPerRun"])
                for p in self.daemon.get("/kernel")["programs"] if "runs" in p}

    # ---- all of it

    def setup(self):
        os.makedirs(self.folder)
        for role in ("client", "server", "stacked"):
            Place(os.path.join(self.mesh, role))
        self.put_file("bench.yaml", bench_file(PEER))
        if not self.daemon:
            return
        with open(self.daemon.conf, "w") as f:
            f.write(CONFIG.format(mesh=self.mesh, folder=self.folder))
        self.daemon.start()
        self.wait_services(len(PEER))
        self.wait_full()

    def main(self):
        say(f"{'short form, ' if QUICK else ''}load {self.report.load:.2f}, {os.cpu_count()} CPUs, "
            f"Linux {os.uname().release}" + (", both sides without weft" if self.o.null else ""))
        self.setup()
        self.serve()
        jobs = self.traffic_jobs()
        self.measure(jobs)
        self.report_traffic(jobs)
        if self.daemon:
            self.put_file("bench.yaml", bench_file(["pods"]))
            self.wait_services(1)
        self.connects(1)
        if self.daemon:
            self.breakdown()
            self.grow()
            self.connects(FILES * PER_FILE)
            self.changes()
            self.sizes()
            self.starts()
        self.report.summary()


def cpu(sample):
    """CPU time of both processes per unit of work, us."""
    return sample["client_us"] + sample["server_us"]


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--build", required=True)
    ap.add_argument("--scratch", required=True)
    ap.add_argument("--cgroup", required=True)
    ap.add_argument("--null", action="store_true", help="no daemon, both sides plain: what noise does to the ratios")
    try:
        Case(ap.parse_args()).main()
    except Failed as e:
        sys.exit(f"bench: {e}")


if __name__ == "__main__":
    main()
