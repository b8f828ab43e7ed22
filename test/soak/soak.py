# SPDX-License-Identifier: Apache-2.0
"""The load of run.sh and its judgement: soak.py SECONDS FOLDER WEFT WEFTD_PID.

Traffic of all kinds for so long, while the configuration changes and hosts come, die and return; every second of it, memory
and descriptors of both processes are noted in FOLDER/samples.tsv. Then the load ends and what must be nothing is nothing.

Flat means: the line that fits the second half's samples best rises over that half by less than 2 % and 1 MiB together; a
run of less than 5 minutes is still warming up, and may rise by 6 MiB.
"""
import asyncio
import json
import os
import random
import re
import ssl
import subprocess
import sys
import time

import crowd

SECONDS, FOLDER, WEFT, AGENT = float(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
PIPES = 16                                      # that each of two workers keeps
KEPT, FRESH, TLS, TCP, UDP = 40, 10, 10, 15, 10
rand = random.Random(8)
hosts = [crowd.HostProcess(p) for p in (9001, 9002, 9003)]
over = False
ACTS = ("ok",) * 8 + ("chunk", "echo", "slow", "late", "e503", "cut", "garbage", "close", "reset", "early")
# What may come of each act, hosts being killed beside it; the proxy itself must never end.
MAY = {"e503": {503}, "early": {413}, "cut": {"cut"}, "stall": {504}}
# What the log may say besides information: hosts that are killed and that lie.
EXPECTED = re.compile(r" (debug|info)  ?|upstream: cluster app, host 127.0.0.1:900[123]: ")


def go_on():
    return not over


def choose():
    act = "stall" if rand.random() < 0.01 else rand.choice(ACTS)
    return act, rand.choice((2, 100, 5000, 100000)), rand.choice((1, 3000, 70000)) if act in ("echo", "early") else 0


def admin(path):
    out = subprocess.run(["curl", "-sS", "--max-time", "60", "--unix-socket", "/run/weft/admin.sock", "http://weft" + path],
                         capture_output=True, check=True)
    return out.stdout.decode()


def metric(prefix):
    """The workers' rows come with the proxy's first report, a second after its start."""
    end, rows = time.monotonic() + crowd.LIMIT, []
    while not rows:
        assert time.monotonic() < end, f"no metric begins with {prefix}"
        rows = [line for line in admin("/metrics").split("\n") if line.startswith(prefix)]
    return sum(int(float(r.rsplit(" ", 1)[1])) for r in rows)


# ---- traffic --------------------------------------------------------------------------------------------------------

async def fresh(c):
    """A connection for each request."""
    while go_on():
        try:
            conn = await c.dial()
        except (OSError, EOFError):
            c.refused += 1
            continue
        await c.one(conn, *choose())
        conn.close()


class Echoes:
    """Answers of what was sent, over the TCP and the UDP proxy; broken ones are counted, wrong ones are an error."""

    def __init__(self):
        self.done, self.broken = 0, 0

    async def tcp(self):
        while go_on():
            try:
                r, w = await asyncio.open_connection("127.0.0.1", 7001, limit=1 << 20)
                for _ in range(rand.randrange(1, 10)):
                    data = crowd.blob(rand.choice((1, 1000, 200000)))
                    w.write(data)
                    got = await asyncio.wait_for(r.readexactly(len(data)), crowd.LIMIT)
                    assert got == data
                    self.done += 1
                if rand.random() < 0.3:
                    w.transport.abort()
                w.close()
            except (OSError, EOFError):
                self.broken += 1

    async def udp(self):
        loop = asyncio.get_running_loop()
        while go_on():
            got = asyncio.Queue()

            class Peer(asyncio.DatagramProtocol):
                def datagram_received(self, data, addr):
                    got.put_nowait(data)
            t, _ = await loop.create_datagram_endpoint(Peer, remote_addr=("127.0.0.1", 7002))
            for _ in range(20):
                data = os.urandom(8) + crowd.blob(rand.randrange(1400))
                t.sendto(data)
                try:
                    while await asyncio.wait_for(got.get(), 30) != data:
                        pass                    # of a question whose answer was given up
                    self.done += 1
                except TimeoutError:
                    self.broken += 1
            t.close()


class EchoHost(asyncio.Protocol, asyncio.DatagramProtocol):
    def connection_made(self, t):
        self.t = t

    def data_received(self, data):
        self.t.write(data)

    def datagram_received(self, data, addr):
        self.t.sendto(data, addr)


# ---- disturbances ---------------------------------------------------------------------------------------------------

async def run_in_thread(fn, *args):
    return await asyncio.get_running_loop().run_in_executor(None, fn, *args)


async def kills():
    n = 0
    while go_on():
        await asyncio.sleep(1.5)
        h = hosts[n % 3]
        h.kill()
        await asyncio.sleep(0.5)
        await run_in_thread(h.start)
        n += 1
    return n


def change(text, n):
    """The hosts of the cluster, its settings and the routes change in turns; so do clusters that nobody asks."""
    first = 1 + n % 3
    some = [f'{{address: "127.0.0.1:900{(first + i) % 3 + 1}"}}' for i in range(2 + n % 2)]
    text = re.sub(r"(?m)^- \{name: app,.*$", f"- {{name: app, connectTimeout: {1000 + n % 50}ms, endpoints: [{', '.join(some)}]}}", text)
    more = "".join(f'\n- {{name: c{n}-{i}, endpoints: [{{address: "10.0.0.{i + 1}:80"}}]}}' for i in range(n % 20))
    new = os.path.join(FOLDER, "next")
    with open(new, "w") as f:
        f.write(text + more + "\n")
    os.rename(new, os.path.join(FOLDER, "weft.yaml"))
    subprocess.run([WEFT, "reload"], check=True, stdout=subprocess.DEVNULL)


async def reloads():
    n, text = 0, open(os.path.join(FOLDER, "weft.yaml")).read()
    while go_on():
        await run_in_thread(change, text, n)
        n += 1
        await asyncio.sleep(1)
    await run_in_thread(change, text, 0)
    return n


# ---- judgement ------------------------------------------------------------------------------------------------------

def descriptors(pid, pipes=False):
    """But pipes: the proxy keeps some for the next who needs one."""
    n = 0
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            n += os.readlink(f"/proc/{pid}/fd/{fd}").startswith("pipe:") == pipes
        except FileNotFoundError:
            pass
    return n


def sample():
    p = crowd.proxy()
    return time.monotonic(), crowd.rss(AGENT), crowd.rss(p), descriptors(AGENT), descriptors(p)


async def samples():
    rows = []
    with open(os.path.join(FOLDER, "samples.tsv"), "w") as f:
        while go_on():
            rows.append(sample())
            print(*rows[-1], sep="\t", file=f, flush=True)
            await asyncio.sleep(1)
    return rows


def rise(rows, column):
    """Of the fitted line over the second half."""
    half = rows[len(rows) // 2:]
    n = len(half)
    mx, my = sum(r[0] for r in half) / n, sum(r[column] for r in half) / n
    slope = sum((r[0] - mx) * (r[column] - my) for r in half) / (sum((r[0] - mx) ** 2 for r in half) or 1)
    return slope * (half[-1][0] - half[0][0]), my


def case(name, fn, *args):
    try:
        fn(*args)
        print(f"case pass {name}", flush=True)
        return 0
    except AssertionError as e:
        print(f"case fail {name}: {e}".replace("\n", " "), flush=True)
        return 1


def flat(rows):
    wrong = []
    for column, who in ((1, "agent"), (2, "proxy")):
        grown, mean = rise(rows, column)
        bound = mean * 0.02 + (1 << 20) if SECONDS >= 300 else 6 << 20
        print(f"  {who}: {rows[0][column] >> 10} KiB at the start, {int(mean) >> 10} in the second half, which rose by "
              f"{grown / 1024:.0f} KiB (at most {bound / 1024:.0f})", flush=True)
        if grown > bound:
            wrong.append(who)
    assert not wrong, f"memory of {wrong} grows"


def accounts(crowds):
    for c in crowds:
        c.account()
        for act, outcome in c.seen:
            assert outcome in MAY.get(act, {200}) | {502, 503, "cut"}, f"{act}: {c.outcomes(act)}"
        assert not c.refused, f"{c.refused} connections were refused on {c.port}"
        assert c.outcomes("ok").get(200, 0) > c.sent / 5, c.outcomes("ok")


def echoed(e, broken_at_most):
    print(f"  {e.done} echoes, {e.broken} broken", flush=True)
    assert e.done and e.broken <= broken_at_most, f"{e.broken} of {e.done} echoes were lost"


def until(what, fn):
    end = time.monotonic() + crowd.LIMIT
    while not fn():
        assert time.monotonic() < end, what()
        time.sleep(0.2)


def nothing_left(before):
    def gauges():
        return {m: metric(m) for m in ("weft_http_active", "weft_listener_open")} | \
            {"upstreams in use": metric("weft_http_upstreams") - metric("weft_http_idle_upstreams")}
    until(lambda: f"left: {gauges()}", lambda: not any(gauges().values()))

    def now():
        s = sample()
        # Idle connections to hosts are kept for a while; each is a descriptor.
        return s[3], s[4] - metric("weft_http_idle_upstreams")
    until(lambda: f"descriptors before {before}, now {now()}", lambda: all(n <= b for n, b in zip(now(), before)))
    pipes = descriptors(crowd.proxy(), True)
    assert pipes <= 2 * PIPES * 2, f"{pipes} descriptors of pipes"
    print(f"  descriptors: {before} before, {now()} after", flush=True)
    assert metric("weft_proxy_exits_total") == metric("weft_proxy_hangs_total") == 0, "the proxy ended"
    assert metric("weft_reload_refused_total") == 0, "a configuration was refused"


def clean_log():
    with open(os.path.join(FOLDER, "weftd.log")) as f:
        bad = [line for line in f if not EXPECTED.search(line)]
    assert not bad, f"{len(bad)} lines such as {bad[:3]}"


async def load(first):
    global over
    loop = asyncio.get_running_loop()
    await loop.create_server(EchoHost, "127.0.0.1", 9010, backlog=1024)
    await loop.create_datagram_endpoint(EchoHost, local_addr=("127.0.0.1", 9010))
    # One of everything, so that what is opened once is there before descriptors are counted.
    assert await first.one(await first.dial(), "ok")
    before = (descriptors(AGENT), descriptors(crowd.proxy()) - metric("weft_http_idle_upstreams"))
    tls = ssl.create_default_context(cafile=os.path.join(FOLDER, "web.crt"))
    tls.check_hostname = False
    kept, short, secure, tcp, udp = crowd.Crowd(), crowd.Crowd(), crowd.Crowd(8443, tls), Echoes(), Echoes()
    loop.call_later(SECONDS, end)
    work = [kept.client(choose, go_on) for _ in range(KEPT)] + [fresh(short) for _ in range(FRESH)] + \
        [secure.client(choose, go_on) for _ in range(TLS // 2)] + [fresh(secure) for _ in range(TLS // 2)] + \
        [tcp.tcp() for _ in range(TCP)] + [udp.udp() for _ in range(UDP)]
    rows, killed, changed, *_ = await asyncio.gather(samples(), kills(), reloads(), *work)
    print(f"  {SECONDS:.0f} s, {killed} hosts killed, {changed} configurations", flush=True)
    return before, rows, [kept, short, secure], tcp, udp


def end():
    global over
    over = True


def main():
    crowd.many_descriptors()
    before, rows, crowds, tcp, udp = asyncio.run(load(crowd.Crowd()))
    failed = case("every_request_has_its_own_end", accounts, crowds)
    failed += case("bytes_of_tcp_come_back", echoed, tcp, 0)
    failed += case("datagrams_come_back", echoed, udp, max(udp.done // 100, 3))
    failed += case("memory_is_flat", flat, rows)
    failed += case("nothing_is_left", nothing_left, before)
    failed += case("the_log_says_nothing_unexpected", clean_log)
    for h in hosts:
        h.kill()
    sys.exit(failed > 0)


main()
