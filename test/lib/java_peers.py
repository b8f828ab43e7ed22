# SPDX-License-Identifier: Apache-2.0
"""Java programs that hold hosts and clients of bolt and Dubbo (test/lib/java/peers), by commands of one JSON object a line.

	j = Jvm()                                   # class path in $PEERS; returns when it listens to commands
	j.ask("bolt.listen", port=9001, name="a")
	r = j.ask("bolt.call", port=8080, service="shop:1.0", method="buy", n=100, inflight=10)     # r["ok"], r["errors"]
	t = j.begin("bolt.call", ...); ...; r = j.end(t)        # many commands at once
"""
import itertools
import json
import os
import subprocess
import threading

LIMIT = 120  # seconds for one command; a machine that stands still is no failure
OPENED = ["java.lang", "java.util", "java.math", "java.io"]
FLAGS = ["-Xmx256m", "-Xss512k", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Djava.net.preferIPv4Stack=true",
         "-Ddubbo.application.logger=jdk"]


class Jvm:
    """One program. log: what its libraries print; main: its class, of the class path `path`, else of that in $PEERS; settings: system
    properties."""

    def __init__(self, log="java.log", main="weft.peers.Main", path=None, **settings):
        opened = [f"--add-opens=java.base/{p}=ALL-UNNAMED" for p in OPENED]
        own = [f"-D{k.replace('_', '.')}={v}" for k, v in settings.items()]
        log = os.path.join(os.environ["T"], log)
        own.append("-Dlogging.path=" + os.environ["T"])
        self.process = subprocess.Popen(["java", *FLAGS, *opened, *own, "-cp", path or os.environ["PEERS"], main],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open(log, "ab"), text=True)
        self.numbers, self.answers, self.told, self.dead = itertools.count(1), {}, threading.Condition(), False
        threading.Thread(target=self.listen, daemon=True).start()
        self.end(0)

    def listen(self):
        for line in self.process.stdout:
            got = json.loads(line)
            with self.told:
                self.answers[got.pop("id")] = got
                self.told.notify_all()
        with self.told:
            self.dead = True
            self.told.notify_all()

    def begin(self, verb, **what):
        number = next(self.numbers)
        with self.told:
            self.process.stdin.write(json.dumps({"id": number, "do": verb, **what}) + "\n")
            self.process.stdin.flush()
        return number

    def end(self, number):
        with self.told:
            assert self.told.wait_for(lambda: number in self.answers or self.dead, LIMIT), "Java did not answer in time"
            assert number in self.answers, "the Java program ended"
            got = self.answers.pop(number)
        assert "error" not in got, got["error"]
        return got

    def ask(self, verb, **what):
        return self.end(self.begin(verb, **what))

    def kill(self):
        self.process.kill()
        self.process.wait()


def all_well(r, n, what=""):
    """All calls of a load were answered, and right."""
    got = sum(r["ok"].values())
    assert (got, r["wrong"], r["errors"]) == (n, 0, {}), f"{what}: {got} of {n}, {r['wrong']} wrong, {r['messages']}"
