# SPDX-License-Identifier: Apache-2.0
"""
weft beside nginx, HAProxy, Envoy and the floor (a relay that parses nothing): the same requests, one run, all sides alive at
once, rounds interleaved. Processor 0 has the proxy's one worker, processor 1 wrk and the backend. The cost of a request is
the run time of all threads of the proxy (schedstat, in ns), which includes what the kernel does on their back.
"""
import argparse
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time

from bench import QUICK, Failed, Report, interleave, say
from counters import Counters
from proxies import BACKEND, GRPC, H2, Envoy, Haproxy, Nginx, Null, Relay, Weft

SECONDS, ROUNDS = (1, 2) if QUICK else (2, 7)
LIMIT = 60 if QUICK else 240


class Rig:
    proxy_cpu, load_cpu = 0, 1
    listen = server = "127.0.0.1"            # addresses of the proxies, and of the server behind them
    h2 = False                               # HTTP/2, too

    def __init__(self, args):
        self.build, self.scratch, self.cgroup, self.envoy = args.build, args.scratch, args.cgroup, args.envoy
        self.h2 = args.case in ("h2", "grpc")
        if (os.cpu_count() or 1) < 2:
            raise Failed("two processors are needed")
        self.key, self.cert, self.pem = (os.path.join(self.scratch, f) for f in ("key.pem", "cert.pem", "both.pem"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", "/CN=bench.test", "-keyout", self.key, "-out", self.cert], check=True, capture_output=True)
        with open(self.pem, "w") as f:
            f.writelines(open(p).read() for p in (self.cert, self.key))
        os.chmod(self.scratch, 0o755)        # a proxy without privileges reads there
        self.log = open(os.path.join(self.scratch, "backend.log"), "a")
        self.backend = self.spawn(self.load_cpu, [f"{self.build}/test/perf/backend", BACKEND], self.log)
        self.wait_port(None, BACKEND)
        self.servers = [self.backend, *self.http2_servers()] if self.h2 else [self.backend]

    def http2_servers(self):
        """nghttpd: a file of 100 bytes; and what answers a gRPC call with the message that came."""
        if not shutil.which("nghttpd"):
            raise Failed("no nghttpd: test/lib/deps.sh bench installs it")
        self.message = os.path.join(self.scratch, "message")
        with open(self.message, "wb") as f:
            f.write(b"\0" + (100).to_bytes(4, "big") + b"x" * 100)
        os.makedirs(f"{self.scratch}/www", exist_ok=True)
        with open(f"{self.scratch}/www/100", "w") as f:
            f.write("x" * 100)
        common = ["nghttpd", "--no-tls", "-a", self.server, "-m", "1000"]
        made = [self.spawn(self.load_cpu, [*common, "-d", f"{self.scratch}/www", H2], self.log),
                self.spawn(self.load_cpu, [*common, "--echo-upload", "--trailer=grpc-status: 0", GRPC], self.log)]
        self.wait_port(None, H2)
        self.wait_port(None, GRPC)
        return made

    def spawn(self, cpu, argv, log):
        """With all the descriptors that this user may have."""
        pin = ["bash", "-c", 'ulimit -n "$(ulimit -Hn)"; exec "$@"', "-", "taskset", "-c", str(cpu)]
        return subprocess.Popen(pin + [str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def wait_port(self, proxy, port, limit=30):
        until = time.monotonic() + limit
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 5).close()
                return
            except OSError:
                pass
            if proxy and proxy.process.poll() is not None:
                raise Failed(f"{proxy.name} ended with {proxy.process.returncode}: {tail(proxy.log.name)}")
            if time.monotonic() > until:
                raise Failed(f"port {port} does not answer" + (f": {tail(proxy.log.name)}" if proxy else ""))
            time.sleep(0.05)

    def wrk_command(self, url, connections, seconds, *more):
        return ["taskset", "-c", str(self.load_cpu), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", *more, url]

    def wrk(self, url, connections, seconds, *more):
        argv = self.wrk_command(url, connections, seconds, *more)
        out = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds + 60).stdout
        return Load(out)


def tail(path):
    with open(path, errors="replace") as f:
        return " | ".join(f.read().splitlines()[-3:])


class Load:
    """What wrk says."""
    UNITS = {"us": 1, "ms": 1000, "s": 1e6}

    def __init__(self, out):
        found = re.search(r"(\d+) requests in ([\d.]+)(ms|s|m)", out)
        if not found:
            raise Failed(f"wrk: {out!r}")
        self.requests = int(found.group(1))
        self.per_s = float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))
        errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out)
        refused = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
        self.errors = sum(map(int, errors.groups())) if errors else 0
        self.refused = int(refused.group(1)) if refused else 0
        self.p50, self.p99 = (self.time(out, p) for p in (50, 99))

    def time(self, out, percent):
        found = re.search(rf"{percent}%\s+([\d.]+)(us|ms|s)", out)
        return float(found.group(1)) * self.UNITS[found.group(2)] if found else None


class H2Load:
    """What h2load says; it has no percentiles."""
    p50 = p99 = None

    def __init__(self, out):
        rate = re.search(r"finished in [\d.]+\w+, ([\d.]+) req/s", out)
        counts = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", out)
        codes = re.search(r"(\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", out)
        if not rate or not counts or not int(counts.group(1)):
            raise Failed(f"h2load: {out[-600:]!r}")
        self.per_s, self.requests = float(rate.group(1)), int(counts.group(1))
        self.errors, self.refused = sum(map(int, counts.groups()[1:])), sum(map(int, codes.groups()[1:]))


class Sample:
    def __init__(self, cpu_ns, load):
        self.cpu_us = cpu_ns / 1000 / load.requests
        self.per_s, self.p50, self.p99, self.bad = load.per_s, load.p50, load.p99, load.errors + load.refused


class Job:
    """One kind of work: which port, how many connections, and what the figures are called."""

    def __init__(self, case, port, path="/", connections=64, close=False, scale=1.0, unit="us cpu/req"):
        self.case, self.port, self.path, self.connections = case, port, path, connections
        self.close, self.scale, self.unit = close, scale, unit

    def fits(self, proxy):
        """The relay opens a connection to the server for each of a client: with new ones all the time it is no floor."""
        return not (self.close and proxy.name == "floor")

    def url(self, proxy):
        return f"{'https' if self.port == 'tls' else 'http'}://127.0.0.1:{proxy.port[self.port]}{self.path}"

    def run(self, rig, proxy, seconds):
        before = proxy.cpu_ns()
        load = rig.wrk(self.url(proxy), self.connections, seconds, *(["-H", "Connection: close"] if self.close else []))
        s = Sample(proxy.cpu_ns() - before, load)
        if s.bad:
            raise Failed(f"{self.case}: {proxy.name}: {load.errors} socket errors, {load.refused} refused of {load.requests}: "
                         f"{tail(proxy.log.name)}")
        return s


class H2Job(Job):
    """h2load in the place of wrk: so many connections, eight streams on each."""
    STREAMS = 8

    def __init__(self, case, port, path, *more):
        super().__init__(case, port, path, connections=16)
        self.more = more

    def command(self, rig, proxy, seconds):
        more = [rig.message if m == "MESSAGE" else m for m in self.more]
        return ["taskset", "-c", str(rig.load_cpu), "h2load", "-t1", f"-c{self.connections}", f"-m{self.STREAMS}", f"-D{seconds}",
                *more, self.url(proxy)]

    def run(self, rig, proxy, seconds):
        before = proxy.cpu_ns()
        out = subprocess.run(self.command(rig, proxy, seconds), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             timeout=seconds + 60).stdout
        load = H2Load(out)
        s = Sample(proxy.cpu_ns() - before, load)
        if s.bad:
            raise Failed(f"{self.case}: {proxy.name}: {load.errors} errors, {load.refused} refused of {load.requests}: "
                         f"{tail(proxy.log.name)}")
        return s


GRPC_HEADERS = ("-H", "content-type: application/grpc", "-H", "te: trailers", "-d", "MESSAGE")
# aims: of the better of nginx and HAProxy (and what to strive for), of the floor, of Envoy, of the best of all peers
CASES = {
    "h1": ([(Job("h1-keepalive", "h1"), {"better": 0.85, "floor": 1.15, "envoy": 0.35, "stretch": 0.80}),
            (Job("h1-connect", "h1", connections=16, close=True), {})], True),
    "h2": ([(H2Job("h2-h1", "h2", "/100"), {"best": 0.85}),
            (H2Job("h2-h2", "h2h2", "/100"), {"haproxy": 1.3, "nginx": 0.7, "envoy": 0.7})], False),
    "grpc": ([(H2Job("grpc-unary-100", "grpc", "/bench.Echo/Call", *GRPC_HEADERS), {"best": 0.85})], False),
    "tls": ([(Job("tls-keepalive", "tls"), {"better": 0.85}),
             (Job("tls-handshake", "tls", connections=16, close=True, unit="us cpu/handshake"), {"better": 1.0})], False),
    "body": ([(Job("body-10m", "h1", "/10m", 4, scale=1e-3, unit="ms cpu/10 MiB"), {"better": 0.6, "best": 0.8})], True),
    "tcp": ([(Job("tcp-64", "tcp", unit="us cpu/trip"), {"best": 0.85}),
             (Job("tcp-bulk", "tcp", "/10m", 4, scale=1e-3, unit="ms cpu/10 MiB"), {"better": 0.6, "best": 0.8})], True),
}


def sides_of(rig, args, floor, splice):
    sides = [Null(rig) if args.null else Weft(rig), Nginx(rig), Haproxy(rig)]
    if args.envoy:
        sides.append(Envoy(rig))
    return sides + ([Relay(rig, splice)] if floor else [])


def report_job(report, job, aims, sides, samples):
    weft, *peers = sides = [p for p in sides if job.fits(p)]
    cost = {p: [s.cpu_us * job.scale for s in samples[job, p]] for p in sides}
    middle = {p: statistics.median(cost[p]) for p in sides}
    better = min((p for p in peers if p.name in ("nginx", "haproxy")), key=middle.get)
    best = min((p for p in peers if p.name != "floor"), key=middle.get)
    for p in peers:
        wanted = [aims[k] for k, q in (("better", better), ("best", best), (p.name, p)) if k in aims and q is p]
        more = {f"{k}{end}": statistics.median(getattr(s, k) for s in samples[job, q])
                for q, end in ((weft, ""), (p, "_peer")) for k in ("per_s", "p50", "p99") if getattr(samples[job, q][0], k)}
        if p is better and "stretch" in aims:
            more["stretch"] = aims["stretch"]
        words = [w for w, q in (("better of nginx and HAProxy", better), ("best", best)) if q is p]
        report.pairs(job.case, p.version(), job.unit, cost[weft], cost[p], min(wanted) if wanted else None,
                     connections=job.connections, peer_is=words, **more)


def report_counts(rig, report, job, sides):
    """System calls and allocations per request: counted, not measured, so once is enough."""
    found = {}
    with Counters() as counters:
        for p in sides if counters.works else ():
            argv = rig.wrk_command(job.url(p), job.connections, 1)
            out, calls, allocations = counters.run(p, os.path.join(rig.scratch, "perf.out"), argv)
            n = Load(out).requests
            found[p] = calls / n, allocations / n
    for p in sides[1:] if found else ():
        report.put(f"{job.case}-syscalls", p.version(), "system calls/req", found[sides[0]][0], found[p][0])
        if p.name != "envoy":                # it brings an allocator of its own
            report.put(f"{job.case}-allocations", p.version(), "allocations/req", found[sides[0]][1], found[p][1])


def measure(rig, jobs, sides):
    """Starts the sides, and gives what each job made of each that it fits."""
    samples = {(job, p): [] for job in jobs for p in sides}
    for p in sides:
        p.start()
        say(p.version())
        for job in filter(lambda j: j.fits(p), jobs):
            job.run(rig, p, 1)               # warm, and whether it works at all

    def one(job, p, _):
        if job.fits(p):
            samples[job, p].append(job.run(rig, p, SECONDS))
    interleave(ROUNDS, jobs, sides, one, LIMIT)
    return samples


def run_costs(rig, args, report, name):
    work, floor = CASES[name]
    jobs = [job for job, _ in work]
    bulk = any(job.path != "/" for job in jobs)
    sides = sides_of(rig, args, floor, splice=bulk)
    try:
        samples = measure(rig, jobs, sides)
        for job, aims in work:
            report_job(report, job, aims, sides, samples)
            if job.case.endswith("-keepalive"):
                report_counts(rig, report, job, sides)
    finally:
        for p in sides:
            p.stop()


# ---- memory ---------------------------------------------------------------------------------------------------------

def hold(port, have, n):
    """Keep-alive connections that have had one answer each, n in all."""
    request = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"
    while len(have) < n:
        s = socket.create_connection(("127.0.0.1", port), 10)
        s.sendall(request)
        got = b""
        while b"\r\n\r\n" not in got or len(got) - got.index(b"\r\n\r\n") - 4 < 1024:
            part = s.recv(65536)
            if not part:
                raise Failed(f"port {port} closed connection {len(have)}")
            got += part
        have.append(s)


def run_idle(rig, args, report, _):
    few, many = (500, 2000) if QUICK else (1000, 10000)
    found = {}
    for p in sides_of(rig, args, False, False):
        held = []
        p.start()
        try:
            start = p.resident()
            hold(p.port["h1"], held, few)
            time.sleep(0.5)
            low = p.resident()
            hold(p.port["h1"], held, many)
            time.sleep(0.5)
            found[p] = (start, (p.resident() - low) * 1024 / (many - few))
            say(f"{p.version()}: {start:.1f} MiB at start, {found[p][1]:.2f} KiB a connection")
        finally:
            for s in held:
                s.close()
            p.stop()
    weft, *peers = found
    report.put("idle-start", "aim", "MiB resident", found[weft][0], 25.0, aim=1.0)
    report.put(f"idle-connection-{many}", "aim", "KiB/connection", found[weft][1], 0.6, aim=1.0)
    for p in peers:
        report.put("idle-start", p.version(), "MiB resident", found[weft][0], found[p][0])
        report.put(f"idle-connection-{many}", p.version(), "KiB/connection", found[weft][1], max(found[p][1], 0.01))


# ---- reload ---------------------------------------------------------------------------------------------------------

def generation(port):
    with socket.create_connection(("127.0.0.1", port), 5) as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
        got = b""
        while part := s.recv(65536):
            got += part
    found = re.search(rb"\r\nx-generation: *(\d+)", got, re.I)
    if not found:
        raise Failed(f"port {port}: no generation in {got[:200]!r}")
    return int(found.group(1))


def reload_once(rig, p, number):
    """A reload in the middle of load: requests lost, and milliseconds until a new connection sees it."""
    argv = ["taskset", "-c", str(rig.load_cpu), "wrk", "-t1", "-c64", "-d3s", "--latency", f"http://127.0.0.1:{p.port['h1']}/"]
    wrk = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    time.sleep(1)
    begin = time.monotonic()
    p.reload(number)
    lost, seen = 0, None
    while time.monotonic() < begin + 1.5:
        try:
            if generation(p.port["h1"]) == number and seen is None:
                seen = (time.monotonic() - begin) * 1000
        except OSError:
            lost += 1
        time.sleep(0.005)
    load = Load(wrk.communicate(timeout=60)[0])
    if seen is None:
        raise Failed(f"{p.name}: the new configuration is not seen after 1.5 s: {tail(p.log.name)}")
    return lost + load.errors + load.refused, seen


def run_reload(rig, args, report, _):
    found = {}
    sides = [p for p in sides_of(rig, args, False, False) if hasattr(p, "reload")]
    for p in sides:
        p.start()
        try:
            runs = [reload_once(rig, p, 2 + i) for i in range(1 if QUICK else 3)]
            found[p] = (max(r[0] for r in runs), statistics.median(r[1] for r in runs))
            say(f"{p.version()}: {found[p][0]} lost, seen after {found[p][1]:.0f} ms")
        finally:
            p.stop()
    if args.null:
        return
    weft, *peers = found
    report.put("reload-lost", "one request", "lost requests", found[weft][0], 1, aim=0.0)
    for p in peers:
        report.put("reload-lost", p.version(), "lost requests", found[weft][0], found[p][0])
        report.put("reload-seen", p.version(), "ms", found[weft][1], found[p][1])


def script(work, rig=Rig, case="", cases=()):
    """A script of one case, or of those of --case: its arguments, the servers, work(rig, args, report), the summary."""
    a = argparse.ArgumentParser()
    if cases:
        a.add_argument("--case", required=True, choices=cases)
    for name in ("build", "scratch", "cgroup"):
        a.add_argument(f"--{name}", required=True)
    a.add_argument("--envoy", default="")
    a.add_argument("--null", action="store_true")
    args = a.parse_args()
    args.case = case or args.case
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    report = Report(aims=not args.null)
    say(f"load {report.load:.2f}, {os.cpu_count()} CPUs, Linux {os.uname().release}")
    try:
        servers = rig(args)
        try:
            work(servers, args, report)
        finally:
            for server in servers.servers:
                server.terminate()
        report.summary()
    except Failed as e:
        sys.exit(f"bench: {e}")


def work(rig, args, report):
    {"idle": run_idle, "reload": run_reload}.get(args.case, run_costs)(rig, args, report, args.case)


if __name__ == "__main__":
    script(work, cases=[*CASES, "idle", "reload"])
