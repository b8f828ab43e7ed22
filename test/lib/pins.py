#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pinned BPF objects, without a process for each.

pins.py ids DIR [NAME]         "maps NAME ID", "progs NAME ID", "links NAME ID PROG-ID"; NAME: only the id of that map
pins.py entries DIR MAP...     each map's entries by their fields, one JSON a line, sorted
"""
import ctypes
import json
import os
import struct
import subprocess
import sys

BPF_OBJ_GET, BPF_OBJ_GET_INFO_BY_FD = 7, 15
SYS_BPF = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
libc = ctypes.CDLL(None, use_errno=True)


def bpf(cmd, attr):
    attr = ctypes.create_string_buffer(attr, 128)
    got = libc.syscall(SYS_BPF, cmd, attr, 128)
    if got < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return got


def info(path):
    """The first words of bpf_map_info, bpf_prog_info or bpf_link_info: type, id, and for links the program's id."""
    name = ctypes.create_string_buffer(path.encode())
    fd = bpf(BPF_OBJ_GET, struct.pack("QII", ctypes.addressof(name), 0, 0))
    out = ctypes.create_string_buffer(256)
    bpf(BPF_OBJ_GET_INFO_BY_FD, struct.pack("IIQ", fd, len(out), ctypes.addressof(out)))
    os.close(fd)
    return struct.unpack_from("III", out)


def ids(folder):
    for kind in ("maps", "progs", "links"):
        for name in sorted(os.listdir(f"{folder}/{kind}")):
            _, this, prog = info(f"{folder}/{kind}/{name}")
            yield kind, name, this, prog


def entries(folder, name):
    dump = json.loads(subprocess.check_output(["bpftool", "-j", "map", "dump", "pinned", f"{folder}/maps/{name}"]))
    return [r["formatted"] for r in dump]


def main():
    verb, folder = sys.argv[1:3]
    if verb == "ids" and len(sys.argv) == 4:
        print(info(f"{folder}/maps/{sys.argv[3]}")[1])
    elif verb == "ids":
        for kind, name, this, prog in ids(folder):
            print(kind, name, this, *([prog] if kind == "links" else []))
    elif verb == "entries":
        for name in sys.argv[3:]:
            print(name)
            print("\n".join(sorted(json.dumps(e, sort_keys=True) for e in entries(folder, name))))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
