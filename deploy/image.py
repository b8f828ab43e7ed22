#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A container image of an installed tree, as an archive that docker, podman and containerd load.

image.py --root DIR --tag NAME --out FILE.tar

DIR is what `make install DESTDIR=DIR` made. The libraries that its programs need are taken from this machine, so no
base image and no tool but python is needed. The same tree gives the same bytes.
"""
import argparse
import hashlib
import io
import json
import os
import platform
import re
import shutil
import subprocess
import tarfile

FILES = {
    "etc/passwd": "root:x:0:0:root:/:/sbin/nologin\nweft:x:998:998:weft proxy:/:/sbin/nologin\n",
    "etc/group": "root:x:0:\nweft:x:998:\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
}
FOLDERS = ["run/weft", "tmp", "etc/weft/services.d", "proc", "sys", "dev"]
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def libraries(program):
    """Paths of the shared objects, and of the loader, that a program needs."""
    out = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    missing = re.findall(r"(\S+) => not found", out)
    if missing:
        raise SystemExit(f"{program} needs {', '.join(missing)}, which this machine does not have")
    return set(re.findall(r"(/\S+) \(0x", out))


def complete(root):
    """Puts libraries and the few files of /etc beside the programs."""
    programs = [os.path.join(root, "usr/bin", p) for p in os.listdir(os.path.join(root, "usr/bin"))]
    for path in sorted(set().union(*(libraries(p) for p in programs))):
        target = os.path.join(root, path.lstrip("/"))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copyfile(os.path.realpath(path), target)
        os.chmod(target, 0o755)
    for path, text in FILES.items():
        os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
        with open(os.path.join(root, path), "w", encoding="utf-8") as f:
            f.write(text)
    for path in FOLDERS:
        os.makedirs(os.path.join(root, path), exist_ok=True)


def plain(info):
    """Root's, and of no particular day."""
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = "root"
    return info


def layer_of(root):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for folder, dirs, names in os.walk(root):
            dirs.sort()
            for name in sorted(dirs + names):
                path = os.path.join(folder, name)
                tar.add(path, os.path.relpath(path, root), recursive=False, filter=plain)
    return data.getvalue()


def add(tar, name, data):
    info = plain(tarfile.TarInfo(name))
    info.size = len(data)
    info.mode = 0o644
    tar.addfile(info, io.BytesIO(data))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--root", required=True)
    p.add_argument("--tag", required=True)
    p.add_argument("--out", required=True)
    opt = p.parse_args()
    complete(opt.root)
    layer = layer_of(opt.root)
    digest = hashlib.sha256(layer).hexdigest()
    config = json.dumps({
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()), "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {"Entrypoint": ["/usr/bin/weftd"], "Cmd": ["-c", "/etc/weft/weft.yaml"],
                   "Env": ["PATH=/usr/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }, sort_keys=True).encode()
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = [{"Config": config_name, "RepoTags": [opt.tag], "Layers": [f"{digest}/layer.tar"]}]
    with tarfile.open(opt.out, "w", format=tarfile.GNU_FORMAT) as tar:
        add(tar, config_name, config)
        add(tar, f"{digest}/layer.tar", layer)
        add(tar, "manifest.json", json.dumps(manifest).encode())
    print(f"{opt.out}: {opt.tag}, {os.path.getsize(opt.out) >> 10} KiB; load with docker load -i or ctr images import")


if __name__ == "__main__":
    main()
