#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""layers.py refuses what it should: each case is a small tree with one violation, beside the same tree without it."""
import os
import subprocess
import sys
import tempfile

CHECKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "layers.py")
A = "/* SPDX-License-Identifier: Apache-2.0 */\n"
D = "/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */\n"
CLEAN = {
    "Makefile": "# SPDX-License-Identifier: Apache-2.0\n",
    "include/weft/types.h": A,
    "include/kern/maps.h": D,
    "userspace/base/buf.h": A + '#include "weft/types.h"\n',
    "userspace/event/loop.h": A + '#include "base/buf.h"\n',
    "userspace/model/store.h": A + '#include "base/buf.h"\n',
    "userspace/conf/row.h": A,
    "userspace/registry/file.c": A + '#include "base/buf.h"\n#include "weft/types.h"\n',
    "userspace/kern/load.h": A,
    "userspace/kern/load.c": A + '#include "load.h"\n#include "kern/maps.h"\n#include "bpf/connect.skel.h"\n#include "model/store.h"\n',
    "userspace/proxy/worker.h": A,
    "userspace/agent/hub.c": A + '#include "kern/load.h"\nint f(void)\n{\n' + "\t;\n" * 80 + "}\n",
    "bpf/lib/addr.h": D,
    "bpf/connect.bpf.c": D + '#include "lib/addr.h"\n#include "kern/maps.h"\nstruct {\n} fifteen_letters SEC(".maps");\n',
}
# name: (file, text put at its end or None for "instead", word of the message)
REFUSED = {
    "base includes event": ("userspace/base/buf.h", '#include "event/loop.h"\n', "may not see userspace/event"),
    "model includes its neighbour conf": ("userspace/model/store.h", '#include "conf/row.h"\n', "may not see userspace/conf"),
    "neighbour by a relative path": ("userspace/model/store.h", '#include "../conf/row.h"\n', "may not see userspace/conf"),
    "neighbour in angle brackets": ("userspace/model/store.h", '# include <conf/row.h>\n', "may not see userspace/conf"),
    "a registry includes event": ("userspace/registry/file.c", '#include "event/loop.h"\n', "may not see userspace/event"),
    "proxy includes kern": ("userspace/proxy/worker.h", '#include "kern/load.h"\n', "may not see userspace/kern"),
    "the SDK includes base": ("include/weft/types.h", '#include "base/buf.h"\n', "may not see userspace/base"),
    "BPF includes the SDK": ("bpf/lib/addr.h", '#include "weft/types.h"\n', "may not see include/weft"),
    "a skeleton outside kern": ("userspace/agent/hub.c", '#include "bpf/connect.skel.h"\n', "skeletons"),
    "a function of 81 lines": ("userspace/agent/hub.c", "int g(void)\n{\n" + "\t;\n" * 81 + "}\n", "function of 81"),
    "a file of 801 lines": ("userspace/proxy/worker.h", "\n" * 800, "file of 801"),
    "a map name of 16 letters": ("bpf/connect.bpf.c", '} sixteen_letters_ SEC(".maps");\n', "15 characters"),
    "a word of unfinished work": ("userspace/conf/row.h", "/* TO" "DO */\n", "unfinished"),
    "a path of one machine": ("userspace/conf/row.h", '"/wo' 'rk/main"\n', "one machine"),
    "a registry host": ("Makefile", "# https://deb.debian.o" "rg/\n", "registry"),
    "a binary file": ("userspace/conf/row.h", "\0", "binary"),
}
REPLACED = {
    "no licence": ("userspace/conf/row.h", "#pragma once\n", "no SPDX"),
    "the single licence in bpf": ("bpf/lib/addr.h", A, "licence Apache-2.0"),
    "the dual licence in userspace": ("userspace/conf/row.h", D, "licence GPL"),
}


def run(tree):
    with tempfile.TemporaryDirectory() as root:
        for path, text in tree.items():
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), "w") as f:
                f.write(text)
        done = subprocess.run([sys.executable, CHECKER, root], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr


def case(name, good, why):
    print(f"case {'pass' if good else 'fail'} {name}" + ("" if good else f": {why}"))
    return good


def main():
    code, out = run(CLEAN)
    good = case("a clean tree passes", code == 0, out)
    for name, (path, text, word) in REFUSED.items():
        code, out = run({**CLEAN, path: CLEAN[path] + text})
        good &= case(name, code == 1 and path in out and word in out and "1 violations" in out, out)
    for name, (path, text, word) in REPLACED.items():
        code, out = run({**CLEAN, path: text})
        good &= case(name, code == 1 and path in out and word in out, out)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
