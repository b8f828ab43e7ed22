# SPDX-License-Identifier: Apache-2.0
"""
An RPC protocol through weft beside weft's own HTTP/1.1 in the same run, beside MOSN where a binary `mosn` is on the path, and
beside the floor (a relay that parses nothing): 1 KiB both ways, the same client and server for all (test/perf/rpc), which
share processor 1. Rounds are interleaved. The cost of a request is l7.py's: the run time of all threads of the proxy.
"""
import json
import re
import shutil
import statistics
import subprocess

from bench import Failed
from l7 import Rig, measure, script, tail
from proxies import Proxy, Relay, Weft

RPC, HTTP = 9004, 9005                       # the servers
SERVICE = "bench.Echo:1.0"


class RpcRig(Rig):
    def __init__(self, args):
        super().__init__(args)
        self.protocol, self.tool = args.case, f"{self.build}/test/perf/rpc/rpc"
        for protocol, port in ((self.protocol, RPC), ("http1", HTTP)):
            self.servers.append(self.spawn(self.load_cpu, [self.tool, "serve", protocol, "-p", port], self.log))
            self.wait_port(None, port)

    def load(self, protocol, port, connections, under_way, seconds):
        argv = ["taskset", "-c", str(self.load_cpu), self.tool, "load", protocol, "-p", str(port), "-n", str(connections),
                "-m", str(under_way), "-t", str(seconds)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds + 60)
        if done.returncode:
            raise Failed(f"{' '.join(argv[3:])}: {done.stderr.strip() or done.stdout.strip()}")
        return json.loads(done.stdout)


class RpcWeft(Weft):
    def config(self, generation):
        rpc, h1, name = self.port["tcp"], self.port["h1"], self.rig.protocol
        pool = "connectionPool: {maxConnections: 0, maxPending: 0, maxRequests: 0}"
        return f"""
listeners:
- {{name: rpc, address: "127.0.0.1:{rpc}", protocol: {name}, routes: [rpc]}}
- {{name: h1, address: "127.0.0.1:{h1}", protocol: http, routes: [h1]}}
routes:
- {{name: rpc, rules: [{{backends: [{{cluster: rpc}}]}}]}}
- {{name: h1, hosts: ["*"], rules: [{{backends: [{{cluster: h1}}]}}]}}
clusters:
- {{name: rpc, protocol: {name}, endpoints: [{{address: "127.0.0.1:{RPC}"}}], {pool}}}
- {{name: h1, endpoints: [{{address: "127.0.0.1:{HTTP}"}}], {pool}}}
"""


class RpcFloor(Relay):
    def command(self):
        return [f"{self.rig.build}/test/perf/relay", "-l", self.port["tcp"], "-u", RPC]


class Mosn(Proxy):
    """As its own examples have it: one router of one rule that takes any service."""
    name, first, ports = "mosn", 8170, ("tcp",)

    def version(self):
        out = subprocess.run(["mosn", "--version"], capture_output=True, text=True).stdout
        found = re.search(r"(\d+\.\d+\.\d+)", out)
        return f"mosn {found.group(1)}" if found else "mosn"

    def config(self):
        proxy = {"type": "proxy", "config": {"downstream_protocol": self.rig.protocol, "router_config_name": "r"}}
        rule = {"match": {"headers": [{"name": "service", "value": ".*"}]}, "route": {"cluster_name": "c"}}
        return {
            "servers": [{
                "default_log_path": f"{self.dir}/mosn.log", "default_log_level": "ERROR", "processor": 1,
                "routers": [{"router_config_name": "r",
                             "virtual_hosts": [{"name": "v", "domains": ["*"], "routers": [rule]}]}],
                "listeners": [{"name": "rpc", "address": f"127.0.0.1:{self.port['tcp']}", "bind_port": True,
                               "filter_chains": [{"filters": [proxy]}]}]}],
            "cluster_manager": {"clusters": [{"name": "c", "type": "SIMPLE", "lb_type": "LB_RANDOM",
                                              "hosts": [{"address": f"127.0.0.1:{RPC}"}]}]},
        }

    def command(self):
        return ["mosn", "start", "-c", self.write("mosn.json", json.dumps(self.config()))]


class Job:
    def __init__(self, case, protocol, port, connections, under_way=1):
        self.case, self.protocol, self.port, self.connections, self.under_way = case, protocol, port, connections, under_way

    def fits(self, side):
        return self.port in side.port

    def run(self, rig, side, seconds):
        before = side.cpu_ns()
        try:
            load = rig.load(self.protocol, side.port[self.port], self.connections, self.under_way, seconds)
        except Failed as e:
            raise Failed(f"{self.case}: {side.name}: {e}: {tail(side.log.name)}") from None
        load["cpu_us"] = (side.cpu_ns() - before) / 1000 / load["requests"]
        return load


def report_job(report, job, own, base, aims, sides, samples):
    """Of weft's own HTTP/1.1 first, whose rounds were the same."""
    def cost(j, side):
        return [s["cpu_us"] for s in samples[j, side]]

    weft, *peers = sides
    rows = [(f"weft's HTTP/1.1, {base.connections} x 1", base, weft, aims["http1"])]
    rows += [(p.version(), job, p, aims.get(p.name)) for p in peers]
    for name, j, side, aim in rows:
        more = {f"{k}{end}": statistics.median(s[k] for s in samples[x, y])
                for x, y, end in ((job, weft, ""), (j, side, "_peer")) for k in ("per_s", "p50", "p99")}
        report.pairs(job.case, name, "us cpu/req", own, cost(j, side), aim, connections=job.connections, under_way=job.under_way,
                     **more)


def run(rig, _, report):
    name = rig.protocol
    base = Job("http1-64x1", "http1", "h1", 64)
    work = [(Job(f"{name}-64x1", name, "tcp", 64), {"http1": 1.0, "mosn": 0.45}),
            (Job(f"{name}-8x64", name, "tcp", 8, 64), {"http1": 0.5, "mosn": 0.25})]
    jobs = [base, *(job for job, _ in work)]
    sides = [RpcWeft(rig), RpcFloor(rig)] + ([Mosn(rig)] if shutil.which("mosn") else [])
    sides[1].port.pop("h1")
    try:
        samples = measure(rig, jobs, sides)
        for job, aims in work:
            report_job(report, job, [s["cpu_us"] for s in samples[job, sides[0]]], base, aims, sides, samples)
    finally:
        for p in sides:
            p.stop()


if __name__ == "__main__":
    script(run, RpcRig, cases=["bolt", "dubbo"])
