#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs test suites one after another and closes with the plain line "N passed, N failed, N skipped".

run.py --build DIR [--only GLOB]... [--clock T0,T1] SUITE...

A suite is a folder of test/ (or a sanitized flavour of one). Its tests are
  test_*.c          built programs; cmocka's own counts are taken over, one result for each of its tests
  *.sh, *.py        exit code 0 pass, 77 skip (the last line is the reason), anything else fail
  fuzz/*.c          exit code 0 pass, anything else fails: libFuzzer's own code for a crash is 77; the log's end has the input
  <dir>/run.sh      the same, for tests that bring files along
A script with several cases prints "case pass NAME", "case fail NAME: why" or "case skip NAME: why" for each.
The log of each test is DIR/log/<suite>/<test>.log. A skip fails the run unless test/skips.allow lists it.
With --again (what .ci/run asks for) a test that failed, unless by fuzzing, is run once more after its suite, alone; what
passes then is named as unsteady at the end, with both logs kept. An unsteady test is a defect to be explained.
"""
import argparse
import concurrent.futures
import fnmatch
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

SRC = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Suite:
    """share: minutes this suite may take of the whole run; limit: seconds for one test; jobs: tests at once."""

    def __init__(self, share, limit, folder, jobs=1, flavour="", root=False):
        self.share, self.limit, self.folder = share, limit, folder
        self.jobs, self.flavour, self.root = jobs, flavour, root


SUITES = {
    "style": Suite(1, 120, "style", jobs=2),
    "unit": Suite(1.5, 120, "unit", jobs=2),
    "unit-asan": Suite(2.5, 240, "unit", jobs=2, flavour="-address-undefined"),
    "unit-tsan": Suite(2, 240, "unit", jobs=2, flavour="-thread"),
    "sdk": Suite(1, 120, "sdk"),
    "fuzz": Suite(2, 120, "fuzz", jobs=2, flavour="-fuzz"),
    "bpf": Suite(1.5, 400, "bpf", root=True),
    "net": Suite(10, 600, "net", root=True),
    "torture": Suite(3, 600, "torture", root=True),
    "soak": Suite(1, 400, "soak", root=True),
    "vm": Suite(3, 900, "vm", root=True),
    "package": Suite(1, 120, "package"),
    "demo": Suite(1.5, 300, "demo", root=True),
}
OTHER_SHARES = {"tools and packages": 12, "builds": 4}
# Suites that are one script with cases of its own.
ONE_SCRIPT = {"sdk": "run.sh", "torture": "run.sh", "soak": "run.sh", "vm": "run.sh", "demo": "run.sh"}
PASS, FAIL, SKIP = "pass", "fail", "skip"


class Watch(threading.Thread):
    """Sees the machine stand still (a paused virtual machine, a neighbour that takes both processors)."""

    STEP, GAP = 0.1, 1.0

    def __init__(self):
        super().__init__(daemon=True)
        self.gaps = []                   # (seconds since the start, seconds it took)
        self.begin = time.monotonic()

    def run(self):
        last = time.monotonic()
        while True:
            time.sleep(self.STEP)
            now = time.monotonic()
            if now - last > self.GAP:
                self.gaps.append((last - self.begin, now - last))
            last = now


class Live:
    """The children that run now, so that Ctrl-C and SIGTERM can end them all."""

    def __init__(self):
        self.lock, self.children, self.interrupted = threading.Lock(), set(), False

    def start(self, *args, **kw):
        with self.lock:
            if self.interrupted:
                raise OSError("interrupted")
            child = subprocess.Popen(*args, **kw)
            self.children.add(child)
            return child

    def forget(self, child):
        with self.lock:
            self.children.discard(child)

    def interrupt(self, *_):
        self.interrupted = True
        for child in list(self.children):
            if child.returncode is None:
                os.killpg(child.pid, signal.SIGTERM)


live = Live()


class Test:
    def __init__(self, suite, name, argv):
        self.suite, self.name, self.argv = suite, name, argv
        self.id = f"{suite}/{name}"
        self.log = ""
        self.seconds = 0.0
        self.results = []                # (name, PASS|FAIL|SKIP, why)
        self.unsteady = ""               # why it was run a second time, which it passed


def built(opt, source, flavour):
    """The program that was built from a test source."""
    return os.path.join(opt.build + flavour, os.path.relpath(source, SRC)[:-2])


def programs(opt, name, suite):
    """test_*.c in the folder and one below it; unit-tsan takes what has threads only, as test.mk builds it."""
    root = os.path.join(SRC, "test", suite.folder)
    for src in sorted(glob.glob(f"{root}/test_*.c") + glob.glob(f"{root}/*/test_*.c")):
        prog = built(opt, src, suite.flavour)
        if name == "unit-tsan" and not os.path.exists(prog):
            continue
        # Address randomization of newer kernels spreads memory wider than gcc 12's sanitizers expect.
        argv = ["setarch", "-R", prog] if suite.flavour else [prog]
        yield Test(name, os.path.relpath(src, root)[:-2], argv)


def scripts(name, suite):
    root = os.path.join(SRC, "test", suite.folder)
    if name in ONE_SCRIPT:
        paths = [os.path.join(root, ONE_SCRIPT[name])]
    else:
        paths = sorted(p for pat in ("*.sh", "*.py", "*/run.sh") for p in glob.glob(f"{root}/{pat}"))
    for path in paths:
        if os.path.exists(path):
            interpreter = "python3" if path.endswith(".py") else "bash"
            short = ["--short"] if name in ("torture", "soak") else []
            yield Test(name, re.sub(r"(/run)?\.(sh|py)$", "", os.path.relpath(path, root)), [interpreter, path] + short)


def fuzzers(opt, name, suite):
    for src in sorted(glob.glob(f"{SRC}/test/fuzz/*.c")):
        target = os.path.basename(src)[:-2]
        scratch = os.path.join(opt.build + suite.flavour, "corpus", target)
        os.makedirs(scratch, exist_ok=True)
        seeds = os.path.join(SRC, "test/fuzz/corpus", target)
        argv = [built(opt, src, suite.flavour), f"-max_total_time={opt.fuzz_seconds}", "-timeout=10",
                "-rss_limit_mb=1024", "-print_final_stats=0", "-verbosity=0", f"-artifact_prefix={scratch}-",
                "-error_exitcode=1", "-timeout_exitcode=1", scratch] + ([seeds] if os.path.isdir(seeds) else [])
        yield Test(name, target, argv)


def tests_of(opt, name):
    suite = SUITES[name]
    if name == "fuzz":
        found = list(fuzzers(opt, name, suite))
    else:
        found = list(programs(opt, name, suite)) if name not in ONE_SCRIPT else []
        if not name.startswith("unit"):
            found += scripts(name, suite)
    if opt.only:
        found = [t for t in found if any(fnmatch.fnmatch(t.id, g) or fnmatch.fnmatch(t.name, g) for g in opt.only)]
    return found


def environment(opt, suite, test, tmp):
    env = dict(os.environ, WEFT_BUILD=opt.build, WEFT_SRC=SRC, TMPDIR=tmp, LC_ALL="C.UTF-8",
               WEFT_TEST_ID=f"{os.getpid()}-{re.sub('[^a-z0-9]+', '-', test.name.lower())}"[:48],
               PATH=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    for key in [k for k in env if k.lower().endswith("_proxy")] + ["MAKEFLAGS", "MFLAGS", "MAKELEVEL"]:
        env.pop(key, None)
    env.setdefault("ASAN_OPTIONS", "detect_stack_use_after_return=1:strict_string_checks=1")
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    env.setdefault("TSAN_OPTIONS", "halt_on_error=1")
    return env


def sweep_cgroup(test_id):
    """A killed test leaves its cgroup behind, and nothing else."""
    with open("/proc/mounts") as mounts:
        roots = [line.split()[1] for line in mounts if line.split()[2] == "cgroup2"]
    top = os.path.join(roots[0], f"weft-test-{test_id}") if roots else ""
    if not os.path.isdir(top):
        return
    try:
        with open(f"{top}/cgroup.kill", "w") as f:
            f.write("1")
    except OSError:
        pass
    until = time.monotonic() + 5
    while os.path.isdir(top) and time.monotonic() < until:
        for folder, _, _ in os.walk(top, topdown=False):
            try:
                os.rmdir(folder)
            except OSError:
                time.sleep(0.02)  # what was killed is still going: until rmdir() is let


def execute(opt, test):
    """Runs one test in a session of its own; returns its exit code, or None when its time was up."""
    suite = SUITES[test.suite]
    folder = os.path.join(opt.build, "log", test.suite)
    test.log = os.path.join(folder, test.name.replace("/", ".") + ".log")
    os.makedirs(folder, exist_ok=True)
    tmp = tempfile.mkdtemp(prefix="weft-run.")
    env = environment(opt, suite, test, tmp)
    start = time.monotonic()
    try:
        with open(test.log, "wb") as log:
            try:
                child = live.start(test.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, cwd=SRC,
                                   start_new_session=True)
            except OSError as e:
                log.write(f"{e}\n".encode())
                return 127
            try:
                return child.wait(suite.limit + (opt.fuzz_seconds if test.suite == "fuzz" else 0))
            except subprocess.TimeoutExpired:
                return None
            finally:
                stop(child)
                live.forget(child)
    finally:
        test.seconds = time.monotonic() - start
        sweep_cgroup(env["WEFT_TEST_ID"])
        shutil.rmtree(tmp, ignore_errors=True)


def stop(child):
    """Ends what is left of the test's process group: asks first, so that its traps can clean up."""
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGTERM)
        try:
            child.wait(15)
        except subprocess.TimeoutExpired:
            pass
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    child.wait()


def cmocka_results(lines):
    results, seen, before = [], set(), ""
    for line in lines:
        m = re.match(r"\[ {1,7}(OK|FAILED|SKIPPED) {0,2}\] (\S+)$", line)
        if m and (m[1], m[2]) not in seen:
            seen.add((m[1], m[2]))
            why = before if m[1] == "SKIPPED" and not before.startswith("[") else ""
            results.append((m[2], {"OK": PASS, "FAILED": FAIL, "SKIPPED": SKIP}[m[1]], why))
        before = line
    return results


def script_results(lines):
    results = []
    for line in lines:
        m = re.match(r"case (pass|fail|skip) ([^:]+?)(?:: (.*))?$", line)
        if m:
            results.append((m[2], m[1], m[3] or ""))
    return results


def judge(test, rc, limit):
    """Fills test.results from the log and the exit code. A bad exit that no case explains is a failure of its own."""
    with open(test.log, errors="replace") as f:
        lines = f.read().splitlines()
    if os.path.basename(test.argv[-1]).startswith("test_") and not test.argv[-1].endswith((".py", ".sh")):
        test.results = cmocka_results(lines) or [("", FAIL, "ran no test")]
    else:
        test.results = script_results(lines)
    bad = any(r[1] == FAIL for r in test.results)
    if rc is None:
        test.results.append(("", FAIL, f"not done after {limit} s"))
    elif rc == 77 and test.suite != "fuzz":
        test.results.append(("", SKIP, next((l for l in reversed(lines) if l.strip()), "no reason given")))
    elif rc != 0 and not bad:
        test.results.append(("", FAIL, f"signal {-rc}" if rc < 0 else f"exit code {rc}"))
    elif not bad and any(line.startswith("FAIL: ") for line in lines):
        test.results.append(("", FAIL, "its log says FAIL, its exit code does not"))
    elif not test.results:
        test.results.append(("", PASS, ""))


def allowed_skips():
    allowed = []
    try:
        with open(os.path.join(SRC, "test/skips.allow")) as f:
            for line in f:
                pattern = line.split("#", 1)[0].strip()
                if pattern:
                    allowed.append(pattern)
    except FileNotFoundError:
        pass
    return allowed


def report(test, allowed):
    """One line a test, a line more for each case that did not pass, the log's tail where one failed."""
    states = [r[1] for r in test.results]
    state = FAIL if FAIL in states else SKIP if SKIP in states else PASS
    count = f" ({states.count(PASS)} of {len(states)})" if len(states) > 1 else ""
    print(f"{state} {test.id}{count} {test.seconds:.1f} s", flush=True)
    for name, result, why in test.results:
        full = f"{test.id}:{name}" if name else test.id
        if result == FAIL:
            print(f"     failed: {full} {why}")
        elif result == SKIP:
            ok = any(fnmatch.fnmatch(full, a) for a in allowed)
            print(f"     skipped{'' if ok else ' (not in test/skips.allow)'}: {full}: {why}")
    if state == FAIL:
        with open(test.log, errors="replace") as f:
            tail = f.read().splitlines()[-40:]
        print("\n".join("     | " + line for line in tail))
        print(f"     whole log: {os.path.relpath(test.log, SRC)}", flush=True)


def run_suite(opt, name, allowed):
    suite = SUITES[name]
    tests = tests_of(opt, name)
    if not tests:
        return []
    start = time.monotonic()
    print(f"== {name}", flush=True)
    if suite.root and os.geteuid() != 0:
        for test in tests:
            test.results = [("", SKIP, "needs root")]
            report(test, allowed)
    else:
        with concurrent.futures.ThreadPoolExecutor(opt.jobs or suite.jobs) as pool:
            running = {pool.submit(execute, opt, t): t for t in tests}
            for done in concurrent.futures.as_completed(running):
                judge(running[done], done.result(), suite.limit)
                report(running[done], allowed)
    if opt.again and name != "fuzz" and (not suite.root or os.geteuid() == 0):
        for test in [t for t in tests if any(r[1] == FAIL for r in t.results)]:
            second_try(opt, test, suite, allowed)
    suite.seconds = time.monotonic() - start
    return tests


def second_try(opt, test, suite, allowed):
    if live.interrupted:
        return
    first, why = test.results, "; ".join(f"{n} {w}".strip() for n, r, w in test.results if r == FAIL)
    shutil.copy(test.log, test.log.replace(".log", ".first.log"))
    print(f"again {test.id}", flush=True)
    judge(test, execute(opt, test), suite.limit)
    report(test, allowed)
    if any(r[1] == FAIL for r in test.results):
        test.results = first
    else:
        test.unsteady = why or "failed"


def print_minutes(rows):
    print("== minutes")
    for name, seconds, share in rows:
        over = "  <- more than 1.5 times its share" if seconds / 60 > 1.5 * share else ""
        print(f"{seconds / 60:7.2f} of {share:4.1f}  {name}{over}")
    print(f"{sum(r[1] for r in rows) / 60:7.2f} in all")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", default="build")
    p.add_argument("--only", action="append", default=[], help="run only tests that match, as unit/base/test_buf or net/udp*")
    p.add_argument("--clock", help="seconds since 1970 at the start of make and after its packages")
    p.add_argument("--fuzz-seconds", type=int, default=5)
    p.add_argument("--again", action="store_true", help="run what failed once more")
    p.add_argument("--jobs", type=int, default=0)
    p.add_argument("suites", nargs="+", choices=list(SUITES), metavar="SUITE")
    opt = p.parse_args()
    opt.build = os.path.abspath(opt.build)
    rows = []
    if opt.clock:
        begin, packages = (float(x) for x in opt.clock.split(","))
        rows = [("tools and packages", packages - begin, OTHER_SHARES["tools and packages"]),
                ("builds", time.time() - packages, OTHER_SHARES["builds"])]
    allowed, tests, watch = allowed_skips(), [], Watch()
    watch.start()
    signal.signal(signal.SIGINT, live.interrupt)
    signal.signal(signal.SIGTERM, live.interrupt)
    for name in opt.suites:
        if live.interrupted:
            break
        ran = run_suite(opt, name, allowed)
        tests += ran
        if ran:
            rows.append((name, SUITES[name].seconds, SUITES[name].share))
    if live.interrupted:
        print("interrupted")
    elif not tests:
        print(f"no test matches {' '.join(opt.only)}" if opt.only else "no tests found")
    print_minutes(rows)
    results = [(f"{t.id}:{n}" if n else t.id, r) for t in tests for n, r, _ in t.results]
    failed = [i for i, r in results if r == FAIL]
    forbidden = [i for i, r in results if r == SKIP and not any(fnmatch.fnmatch(i, a) for a in allowed)]
    for t in tests:
        if any(r[1] == FAIL for r in t.results) and os.path.exists(t.log):
            with open(t.log, errors="replace") as f:
                said = [l for l in f.read().splitlines() if re.search(r"FAIL|fail|rror|assert|wanted", l)]
            print("\n".join(f"     {t.name} | {l[:200]}" for l in said[-6:]))
    for i in failed:
        print(f"failed: {i}")
    for t in tests:
        if t.unsteady:
            print(f"unsteady: {t.id}: {t.unsteady}")
    for at, took in watch.gaps:
        print(f"the machine stood still for {took:.1f} s, {at / 60:.2f} minutes after the first suite began")
    for i in forbidden:
        print(f"skipped without permission: {i}")
    print(f"{sum(r == PASS for _, r in results)} passed, {len(failed)} failed, "
          f"{sum(r == SKIP for _, r in results)} skipped", flush=True)
    return 1 if failed or forbidden or not tests or live.interrupted else 0


if __name__ == "__main__":
    sys.exit(main())
