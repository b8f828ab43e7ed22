# SPDX-License-Identifier: Apache-2.0
"""System calls and allocations of a proxy while a load runs, counted in the kernel by perf. In a pass of its own: counting
costs time."""
import os
import shutil
import subprocess

from bench import say
from node import tasks

TRACING = "/sys/kernel/tracing"
GROUP = f"weft_bench_{os.getpid()}"
ALLOCATORS = ("malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc")


def libc():
    with open("/proc/self/maps") as f:
        return next(line.split()[-1] for line in f if "/libc.so" in line)


class Counters:
    """Probes on libc's allocators are the machine's, not a namespace's: they are taken away at the end."""

    def __enter__(self):
        self.works, self.probes = False, []
        if not shutil.which("perf"):
            say("no perf: system calls and allocations are not counted")
            return self
        if not os.path.exists(f"{TRACING}/uprobe_events"):
            subprocess.run(["mount", "-t", "tracefs", "nodev", TRACING], check=False, capture_output=True)
        self.works = os.path.exists(f"{TRACING}/events/raw_syscalls")
        for name in ALLOCATORS if self.works else ():
            add = ["perf", "probe", "-q", "-x", libc(), "--add", f"{GROUP}:{name}={name}"]
            if not subprocess.run(add, capture_output=True).returncode:
                self.probes.append(f"{GROUP}:{name}")
        return self

    def __exit__(self, *_):
        if self.probes:
            subprocess.run(["perf", "probe", "-q", "--del", f"{GROUP}:*"], check=False, capture_output=True)

    def run(self, proxy, out, argv):
        """(output of argv, system calls, allocations) while it ran; the counts are of all threads of the proxy."""
        perf = ["perf", "stat", "-x,", "-o", out, "-e", ",".join(["raw_syscalls:sys_enter", *self.probes]),
                "-p", ",".join(map(str, tasks(proxy.process.pid))), "--"]
        text = subprocess.run(perf + argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60).stdout
        counts = {}
        with open(out) as f:
            for row in (line.split(",") for line in f if "," in line):
                counts[row[2]] = int(row[0]) if row[0].isdigit() else 0
        return text, counts.pop("raw_syscalls:sys_enter", 0), sum(counts.values())
