#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The runner cannot be green by accident: small trees with one kind of test each, and the closing line they must give."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

RUNNER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib/run.py")
CMOCKA = "#!/bin/sh\nprintf '[ RUN      ] a\\n{}\\n'\nexit {}\n"
# Compiled, by run(), where it is the source of a fuzz target.
CRASHING = """#include <stddef.h>
int LLVMFuzzerTestOneInput(const unsigned char *d, size_t n);
int LLVMFuzzerTestOneInput(const unsigned char *d, size_t n) { if (n && d[0] > 100) __builtin_trap(); return 0; }
"""
# name: (files, suite, closing line, exit code, a line that must be there)
CASES = {
    "a passing script": ({"test/net/a.sh": "exit 0"}, "net", "1 passed, 0 failed, 0 skipped", 0, "pass net/a"),
    "a failing script": ({"test/net/a.sh": "echo why; exit 3"}, "net", "0 passed, 1 failed, 0 skipped", 1, "| why"),
    "a killed script": ({"test/net/a.sh": "kill -SEGV $$"}, "net", "0 passed, 1 failed, 0 skipped", 1, "signal 11"),
    "a skip without permission": ({"test/net/a.sh": "echo no veth; exit 77"}, "net", "0 passed, 0 failed, 1 skipped", 1,
                                  "skipped without permission: net/a"),
    "a permitted skip": ({"test/net/a.sh": "exit 77", "test/skips.allow": "net/a  # why\n"}, "net",
                         "0 passed, 0 failed, 1 skipped", 0, "no reason given"),
    "a failure that the exit code hides": ({"test/net/a.sh": "echo FAIL: x >&2; exit 0"}, "net",
                                           "0 passed, 1 failed, 0 skipped", 1, "its exit code does not"),
    "cases of a script": ({"test/net/a.sh": "echo case pass x; echo case fail y: why; exit 1"}, "net",
                          "1 passed, 1 failed, 0 skipped", 1, "failed: net/a:y"),
    "a failed case with exit 0": ({"test/net/a.sh": "echo case fail y: why"}, "net", "0 passed, 1 failed, 0 skipped", 1,
                                  "net/a:y"),
    "a script that ends badly after its cases": ({"test/net/a.sh": "echo case pass x; exit 1"}, "net",
                                                 "1 passed, 1 failed, 0 skipped", 1, "exit code 1"),
    "cmocka's counts": ({"test/unit/b/test_c.c": "", "build/test/unit/b/test_c": CMOCKA.format(
        "[       OK ] a\\n[  FAILED  ] b\\n[  FAILED  ] b\\nno bpf\\n[  SKIPPED ] c", 1)}, "unit",
        "1 passed, 1 failed, 1 skipped", 1, "unit/b/test_c:c: no bpf"),
    "a unit test that crashes": ({"test/unit/b/test_c.c": "", "build/test/unit/b/test_c": CMOCKA.format("[       OK ] a", 134)},
                                 "unit", "1 passed, 1 failed, 0 skipped", 1, "exit code 134"),
    "a unit program without tests": ({"test/unit/b/test_c.c": "", "build/test/unit/b/test_c": "#!/bin/sh\nexit 0\n"}, "unit",
                                     "0 passed, 1 failed, 0 skipped", 1, "ran no test"),
    "a program that was not built": ({"test/unit/b/test_c.c": ""}, "unit", "0 passed, 1 failed, 0 skipped", 1, "No such file"),
    "a fuzz target that finds a crash": ({"test/fuzz/fuzz_a.c": CRASHING}, "fuzz", "0 passed, 1 failed, 0 skipped", 1,
                                         "Base64: "),
    "a fuzz target that ends as a skip would": ({"test/fuzz/fuzz_a.c": "", "build-fuzz/test/fuzz/fuzz_a": "#!/bin/sh\nexit 77\n"},
                                                "fuzz", "0 passed, 1 failed, 0 skipped", 1, "exit code 77"),
    "no tests at all": ({}, "net", "0 passed, 0 failed, 0 skipped", 1, "no tests found"),
}


def run(files, suite):
    with tempfile.TemporaryDirectory() as root:
        for path, text in {**files, "test/lib/.keep": ""}.items():
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as f:
                f.write(text)
            os.chmod(f.name, 0o755)
        for path in [p for p, text in files.items() if text is CRASHING]:
            out = os.path.join(root, "build-fuzz", path[:-2])
            os.makedirs(os.path.dirname(out))
            subprocess.run(["clang", "-fsanitize=fuzzer", "-o", out, os.path.join(root, path)], check=True)
        runner = shutil.copy(RUNNER, os.path.join(root, "test/lib"))
        # The suites that need root are run as whoever runs this: nothing in these trees does need it.
        with open(runner, "r+", encoding="utf-8") as f:
            text = f.read().replace("os.geteuid() != 0", "False")
            f.seek(0)
            f.write(text)
        done = subprocess.run([sys.executable, runner, "--build", os.path.join(root, "build"), suite],
                              capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr


def main():
    good = True
    for name, (files, suite, closing, code, line) in CASES.items():
        got, out = run(files, suite)
        right = got == code and out.rstrip().split("\n")[-1] == closing and line in out
        print(f"case {'pass' if right else 'fail'} {name}" + ("" if right else ": see above"))
        if not right:
            print(re.sub("^", "  ", out, flags=re.M), f"exit code {got}")
        good &= right
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
