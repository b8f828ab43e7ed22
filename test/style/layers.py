#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the tree's rules that a machine can check: layers.py [ROOT]. One line a violation, exit 1 if there is any.

A folder may include only folders of a lower line, never a neighbour of its own line. The extensions' line is narrower:
it sees the SDK and base/ alone, as a third party's shared object does.
"""
import os
import re
import sys

# Bottom up. A folder may include itself, every line below, and the contracts.
LINES = [
    ["userspace/base"],
    ["userspace/event"],
    ["userspace/net", "userspace/model", "userspace/conf"],
    ["userspace/netio", "userspace/proto", "userspace/filter", "userspace/lb", "userspace/registry"],
    ["userspace/client"],
    ["userspace/proxy", "userspace/kern"],
    ["userspace/agent"],
    ["userspace/daemon", "userspace/cli"],
]
CONTRACTS = ["include/weft", "include/kern"]
EXTENSIONS = LINES[3]
# Folders whose sight is not that of their line.
NARROW = {
    "include/weft": {"include/weft"},
    "include/kern": {"include/kern"},
    "bpf": {"bpf", "bpf/lib", "include/kern"},
    "bpf/lib": {"bpf/lib", "include/kern"},
    "cni": {"cni", "userspace/base", *CONTRACTS},
}
# The generated skeletons are the kernel side's business.
SKELETON_USERS = {"userspace/kern"}

MAX_FUNCTION, MAX_FILE, MAX_MAP_NAME = 80, 800, 15
CODE = (".c", ".h")
SCRIPTS = (".py", ".sh", ".mk")
DUAL, SINGLE = "GPL-2.0-only OR Apache-2.0", "Apache-2.0"
# Written in two halves, so that this file passes its own check.
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
MACHINE = re.compile(r"(?:^|[^A-Za-z0-9_./-])/(?:wo" r"rk|fa" r"rm|tm" r"p/weft)/[a-z]")
REGISTRY_HOST = re.compile(r"\b(?:(?:deb|security|snapshot|archive)\.debian\.o" r"rg|proxy\.golang\.o" r"rg|pypi\.o" r"rg"
                           r"|registry\.npmjs\.o" r"rg|repo[0-9]?\.maven)")


def sight():
    """folder -> folders that it may include"""
    seen, below = dict(NARROW), set()
    for line in LINES:
        for folder in line:
            own = {"userspace/base"} if folder in EXTENSIONS else set(below)
            seen[folder] = own | {folder, *CONTRACTS}
        below |= set(line)
    return seen


SIGHT = sight()


def tree_files(root):
    for folder, dirs, names in os.walk(root):
        at = os.path.relpath(folder, root)
        dirs[:] = sorted(d for d in dirs if d not in (".git", "__pycache__") and not (at == "." and d.startswith("build")))
        for name in sorted(names):
            if name == ".git":           # of a worktree: a file that names a folder of this machine
                continue
            yield os.path.normpath(os.path.join(at, name))


def folder_of(path):
    """userspace/kern/a/b.h -> userspace/kern; bpf/lib/x.h -> bpf/lib"""
    parts = os.path.dirname(path).split("/")
    return "bpf" if parts[0] == "bpf" and parts[1:2] != ["lib"] else "/".join(parts[:2])


def resolve(root, path, name):
    """The file of the tree that an include means, or None when it is not the tree's (system, generated)."""
    for base in (os.path.dirname(path), "include", "userspace", "bpf", "."):
        found = os.path.normpath(os.path.join(base, name))
        if os.path.isfile(os.path.join(root, found)):
            return found
    return None


def check_includes(root, path, lines):
    folder = folder_of(path)
    if folder not in SIGHT:
        return
    for n, line in enumerate(lines, 1):
        m = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line)
        if not m:
            continue
        if m[1].endswith(".skel.h") and folder not in SKELETON_USERS:
            yield n, f"includes {m[1]}: skeletons are for {', '.join(SKELETON_USERS)} only"
        target = resolve(root, path, m[1])
        if target is None:
            # Deep paths of an own folder that does not exist (yet) would compile nowhere; the compiler says so.
            continue
        below = folder_of(target)
        if below not in SIGHT[folder]:
            yield n, f"includes {m[1]}: {folder} may not see {below}"


def check_functions(path, lines):
    """Kernel style: a body opens and closes with a brace in the first column."""
    start = None
    for n, line in enumerate(lines, 1):
        if line == "{" or (re.match(r"[A-Za-z_].*\)\s*\{$", line) and "=" not in line):
            start = n
        elif line.startswith("}") and start:
            if n - start - 1 > MAX_FUNCTION:
                yield start, f"function of {n - start - 1} lines: {MAX_FUNCTION} at most"
            start = None


def check_maps(path, lines):
    for n, line in enumerate(lines, 1):
        m = re.match(r'\}?\s*(\w+)\s+SEC\("\.maps"\)', line)
        if m and len(m[1]) > MAX_MAP_NAME:
            yield n, f"map name {m[1]}: {MAX_MAP_NAME} characters at most, the kernel cuts the rest"


def check_licence(path, lines):
    m = None
    for line in lines[:3]:
        m = m or re.search(r"SPDX-License-Identifier: (.*?)(?:\s*\*/)?\s*$", line)
    dual = path.startswith(("bpf/", "include/kern/")) and path.endswith(CODE) or path.endswith(".bpf.c")
    want = DUAL if dual else SINGLE
    if not m:
        yield 1, f"no SPDX-License-Identifier in the first lines: {want}"
    elif m[1] != want:
        yield 1, f"licence {m[1]}: here it is {want}"


def check_words(path, lines):
    for n, line in enumerate(lines, 1):
        if UNFINISHED.search(line):
            yield n, "a word that marks something unfinished: finish it, or open an issue"
        if MACHINE.search(line):
            yield n, "a path of one machine"
        if REGISTRY_HOST.search(line):
            yield n, "the host of a package registry: take it from the machine's own settings"


def check_file(root, path):
    with open(os.path.join(root, path), "rb") as f:
        data = f.read()
    if b"\0" in data:
        if not path.startswith("test/fuzz/corpus/"):
            yield 1, "a binary file"
        return
    lines = data.decode("utf-8", "replace").splitlines()
    code, script = path.endswith(CODE), path.endswith(SCRIPTS) or path in ("Makefile", ".ci/run")
    if code:
        yield from check_includes(root, path, lines)
        yield from check_functions(path, lines)
        yield from check_maps(path, lines)
    if code or script:
        yield from check_licence(path, lines)
        if len(lines) > MAX_FILE:
            yield MAX_FILE, f"file of {len(lines)} lines: {MAX_FILE} at most, it hides a second noun"
    if not path.startswith(("LICENSES/", "test/fuzz/corpus/")):
        yield from check_words(path, lines)


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
    bad = files = 0
    for path in tree_files(root):
        if os.path.islink(os.path.join(root, path)):
            continue
        files += 1
        for line, what in check_file(root, path):
            print(f"{path}:{line}: {what}")
            bad += 1
    print(f"{files} files, {bad} violations")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
