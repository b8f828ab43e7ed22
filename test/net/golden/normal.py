#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""normal.py KIND CGROUP: bpftool's output on stdin without what differs from run to run.

entries   one line an entry, sorted; values that are all zero are left out, and clock readings, cgroup ids and client
          ids become words
others    ids, tags, times, sizes in memory, and the test's cgroup become words
"""
import json
import re
import sys

KIND, CGROUP = sys.argv[1:3]
# Fields whose value is another one each time, and what stands for it.
WORDS = {"beat_ns": "NOW", "used_ns": "NOW", "own_cgroup": "CGROUP", "client": "CLIENT", "snapshot": "N", "nworkers": "N"}


def zero(v):
    return all(map(zero, v.values())) if isinstance(v, dict) else all(map(zero, v)) if isinstance(v, list) else not v


def fields(v):
    if not isinstance(v, dict):
        return v
    return {k: WORDS.get(k, fields(x)) if x else x for k, x in v.items()}


def entries(text):
    for r in json.loads(text):
        if zero(r["value"]):
            continue
        # workload_map's keys are ids of cgroups.
        workload = isinstance(r["value"], dict) and "identity" in r["value"]
        key = "CGROUP" if workload else fields(r["key"])
        yield f"{json.dumps(key)} {json.dumps(fields(r['value']))}"


def lines(text):
    for line in text.splitlines():
        line = line.replace(CGROUP, "CAPTURED")
        # bpftool pads ids to a column, so what follows moves with their length.
        line = re.sub(r"^(\s*)\d+ +", r"\1ID ", line)
        line = re.sub(r"^(\s*)\d+:", r"\1ID:", line)
        line = re.sub(r"\b(tag|loaded_at|btf_id|map_ids|prog|cgroup_id|map_id) \S+", r"\1 X", line)
        line = re.sub(r"\b(xlated|jited|memlock) \d+B", r"\1 N", line)
        line = line.replace("type 14 ", "sockmap ")     # bpftool before 7.5 has no name for it
        line = re.sub(r"pids .*", "pids X", line)
        if line.strip():
            yield line.rstrip()


text = sys.stdin.read()
if KIND == "entries":
    print("\n".join(sorted(entries(text))))
else:
    print("\n".join(lines(text)))
