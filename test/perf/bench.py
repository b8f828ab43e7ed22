# SPDX-License-Identifier: Apache-2.0
"""What every case of the benchmarks shares: one JSON line per figure, interleaved rounds, the summary of aims."""
import json
import os
import random
import statistics
import sys
import time

QUICK = os.environ.get("BENCH_QUICK", "") not in ("", "0")


class Failed(Exception):
    """A measurement that did not measure what it says."""


def say(*words):
    print(f"bench {time.monotonic() - START:6.1f} s:", *words, file=sys.stderr, flush=True)


START = time.monotonic()


def number(x):
    """Four significant digits are more than any of these figures has."""
    return float(f"{x:.4g}") if isinstance(x, float) else x


class Report:
    """Lines as they come, on stdout; what they say of the aims at the end, on stderr."""

    def __init__(self, aims=True):
        self.load, self.aims = os.getloadavg()[0], aims
        self.lines = []

    def put(self, case, peer, unit, weft, peer_value, ratios=None, aim=None, rounds=1, **more):
        """aim: the highest ratio weft/peer_value that is good enough; None: no aim."""
        ratio = weft / peer_value if peer_value else 0.0
        aim = aim if self.aims else None
        line = {"case": case, "subject": "weft", "peer": peer, "rounds": rounds, "weft": number(weft),
                "peer_value": number(peer_value), "unit": unit, "ratio": number(ratio),
                "ratio_min": number(min(ratios or [ratio])), "ratio_max": number(max(ratios or [ratio])),
                "aim": aim, "met": None if aim is None else ratio <= aim}
        line.update({k: number(v) for k, v in more.items()})
        line["load"] = round(self.load, 2)
        line["busy"] = self.load > 1
        self.lines.append(line)
        print(json.dumps(line), flush=True)

    def pairs(self, case, peer, unit, weft, plain, aim=None, **more):
        """weft, plain: one value per round, of rounds that ran side by side. Medians; the spread is of the rounds."""
        self.put(case, peer, unit, statistics.median(weft), statistics.median(plain),
                 [w / p for w, p in zip(weft, plain)], aim, len(weft), **more)

    def summary(self):
        out = sys.stderr
        print(f"\n{'case':34} {'peer':20} {'weft':>10} {'peer':>10} {'unit':18} {'ratio':>7} {'min':>7} {'max':>7} {'aim':>6}", file=out)
        for x in self.lines:
            word = {None: "", True: "met", False: "MISSED"}[x["met"]]
            aim = "" if x["aim"] is None else f"{x['aim']:g}"
            print(f"{x['case']:34} {x['peer'][:20]:20} {x['weft']:>10g} {x['peer_value']:>10g} {x['unit'][:18]:18} {x['ratio']:>7g} "
                  f"{x['ratio_min']:>7g} {x['ratio_max']:>7g} {aim:>6} {word}", file=out)
        aims = [x for x in self.lines if x["met"] is not None]
        met = sum(x["met"] for x in aims)
        print(f"{met} of {len(aims)} aims met; load before the run {self.load:.2f}"
              + (" (busy: figures above load 1 say little)" if self.load > 1 else ""), file=out)


def interleave(rounds, jobs, sides, run, limit):
    """
    run(job, side, round) for all, each round in another order; the sides of a job always right after each other. After
    `limit` seconds no further round begins: on a busy machine there are fewer.
    """
    rng, until = random.Random(1), time.monotonic() + limit
    for r in range(rounds):
        if r > 1 and time.monotonic() > until:
            break
        for job in rng.sample(jobs, len(jobs)):
            for side in rng.sample(sides, len(sides)):
                run(job, side, r)
