# SPDX-License-Identifier: Apache-2.0
"""The node of a benchmark: processes in pods and cgroups, and the daemon. Inside what test/lib/net.sh has set up."""
import http.client
import json
import os
import socket
import subprocess
import time

from bench import Failed

CLONE_NEWNET = 0x40000000


class Place:
    """A cgroup and a network namespace; netns None: the node's own."""

    def __init__(self, cgroup, netns=None):
        self.cgroup, self.netns = cgroup, netns
        os.makedirs(cgroup, exist_ok=True)

    def command(self, argv):
        inside = ["nsenter", f"--net=/run/netns/{self.netns}", "--"] if self.netns else []
        return ["bash", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', self.cgroup, *inside, *map(str, argv)]

    def spawn(self, argv, **more):
        return subprocess.Popen(self.command(argv), stdin=subprocess.DEVNULL, **more)

    def answer(self, argv, limit=60):
        """Runs a tool that prints one JSON object."""
        p = subprocess.run(self.command(argv), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit)
        if p.returncode:
            raise Failed(f"{' '.join(map(str, argv))}: {p.stderr.strip() or p.returncode}")
        return json.loads(p.stdout)


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("weft", timeout=20)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def tasks(pid):
    """The process and all below it."""
    found = [pid]
    for p in found:
        try:
            with open(f"/proc/{p}/task/{p}/children") as f:
                found += map(int, f.read().split())
        except OSError:
            pass
    return found


def memory(pid):
    """VmRSS and VmHWM in MB (10^6 bytes)."""
    with open(f"/proc/{pid}/status") as f:
        rows = dict(line.split(":", 1) for line in f)
    return {k: int(rows[k].split()[0]) * 1024 / 1e6 for k in ("VmRSS", "VmHWM")}


class Daemon:
    socket = "/run/weft/admin.sock"

    def __init__(self, build, scratch, place):
        self.build, self.place, self.process = build, place, None
        self.conf = os.path.join(scratch, "weft.yaml")
        self.log = open(os.path.join(scratch, "weftd.log"), "a")
        self.load = os.path.join(build, "test/perf/load/load")

    def get(self, path):
        c = Unix(self.socket)
        try:
            c.request("GET", path)
            r = c.getresponse()
            body = r.read()
        finally:
            c.close()
        if r.status != 200:
            raise Failed(f"GET {path}: {r.status} {body[:300]!r}")
        return json.loads(body)

    def start(self, limit=30):
        """Returns the seconds from spawning it until it was ready."""
        since = time.time()
        self.process = self.place.spawn([f"{self.build}/weftd", "-c", self.conf], stdout=self.log, stderr=self.log)
        try:
            return self.place.answer([self.load, "ready", "-u", self.socket, "-S", f"{since:.4f}", "-t", limit])["seconds"]
        except Failed as e:
            try:
                why = self.get("/ready")
            except (OSError, Failed) as f:
                why = f
            raise Failed(f"{e}; /ready says: {why}") from e

    def stop(self):
        self.process.terminate()
        rc = self.process.wait(20)
        if rc:
            raise Failed(f"weftd ended with {rc}")

    def detach(self):
        subprocess.run([f"{self.build}/weft", "kernel", "detach"], check=True, stdout=self.log, stderr=self.log, timeout=60)

    def reasons(self):
        return {r["name"]: r["count"] for r in self.get("/kernel/reasons")["reasons"]}
