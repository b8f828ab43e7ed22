#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes services for the file registry: services.py DIR FILES SERVICES_PER_FILE ENDPOINTS [VERSION]

Service i (0 based, over all files) is 10.112.0.0 + i, port 80, cluster c<i>, with ENDPOINTS addresses of its own in
100.64.0.0/10. File n is part-<n>.yaml. The text depends on the arguments only. VERSION > 0 moves the last endpoint of
the first service of the first file to the address moved(VERSION).
"""
import os
import sys

MOVED_PORT = 9000


def ipv4(base, n):
    n += base
    return ".".join(str(n >> shift & 255) for shift in (24, 16, 8, 0))


def address(i):
    """Service i's."""
    return ipv4(10 << 24 | 112 << 16, i)


def endpoint(i, k, endpoints):
    return ipv4(100 << 24 | 64 << 16, i * endpoints + k + 1) + ":8080"


def moved(version):
    return f"{ipv4(198 << 24 | 18 << 16, version)}:{MOVED_PORT}"


def part(first, count, endpoints, version=0):
    """The text of one file: services first .. first + count."""
    services, clusters = ["services:"], ["clusters:"]
    for i in range(first, first + count):
        services.append(f"- {{name: s{i}.scale, addresses: [{address(i)}], ports: [{{port: 80, protocol: TCP}}], "
                        f"cluster: c{i}}}")
        hosts = [endpoint(i, k, endpoints) for k in range(endpoints)]
        if version and i == first:
            hosts[-1] = moved(version)
        clusters.append(f"- {{name: c{i}, endpoints: [" +
                        ", ".join(f'{{address: "{h}"}}' for h in hosts) + "]}")
    return "\n".join(services + clusters) + "\n"


def write(folder, files, per_file, endpoints, version=0):
    os.makedirs(folder, exist_ok=True)
    for n in range(files):
        path = os.path.join(folder, f"part-{n}.yaml")
        with open(path + ".new~", "w") as f:
            f.write(part(n * per_file, per_file, endpoints, version if n == 0 else 0))
        os.rename(path + ".new~", path)


if __name__ == "__main__":
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    write(sys.argv[1], *map(int, sys.argv[2:]))
