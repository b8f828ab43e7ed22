#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 10,000 idle connections beside 2,000 active ones, whose hosts stall, reset, lie, are killed and come back: every request has
# its own answer or a closed connection in bounded time, the idle ones notice nothing, and at the end nothing is left.
. "$(dirname "$0")/../lib/net.sh"

cat > "$T/weft.yaml" <<YAML
workers: 2
kernel: {mode: off}
listeners:
- {name: web, address: "127.0.0.1:8080", protocol: http, routes: [all]}
routes:
- name: all
  rules:
  - {matches: [{path: {value: /stall/left}}], backends: [{cluster: app}]}
  - {timeouts: {request: 3s}, matches: [{path: {value: /stall}}], backends: [{cluster: app}]}
  - {backends: [{cluster: app}]}
clusters:
- name: app
  connectionPool: {maxConnections: 5000, maxRequests: 5000}
  endpoints: [{address: "127.0.0.1:9001"}, {address: "127.0.0.1:9002"}, {address: "127.0.0.1:9003"}]
YAML
weftd_start
sysctl -qw net.ipv4.ip_local_port_range="1024 65000"
PYTHONPATH=$SRC/test/lib PYTHONDONTWRITEBYTECODE=1 python3 - <<'PY'
import asyncio
import random
import time

import crowd

crowd.many_descriptors()
IDLE, ACTIVE, LEAVING = 10000, 2000, 300
rand = random.Random(4)
hosts = [crowd.HostProcess(p) for p in (9001, 9002, 9003)]
# What must come of each act while no host is killed.
MUST = {"ok": {200}, "chunk": {200}, "slow": {200}, "late": {200}, "echo": {200}, "e503": {503}, "cut": {"cut"},
        "garbage": {502}, "close": {502}, "reset": {502}, "stall": {504}, "early": {413}}


def choose():
    act = rand.choice(("ok",) * 6 + ("chunk", "echo", "slow", "late", "e503", "cut", "garbage", "close", "reset", "early"))
    if rand.random() < 0.01:
        act = "stall"
    return act, rand.choice((2, 100, 5000, 100000)), rand.choice((1, 3000, 70000)) if act in ("echo", "early") else 0


def times(n):
    left = iter(range(n))
    return lambda: next(left, None) is not None


async def phase(active, requests):
    c = crowd.Crowd()
    await asyncio.gather(*[c.client(choose, times(requests)) for _ in range(active)])
    c.account()
    assert not c.refused, f"{c.refused} connections were refused"
    return c


async def churn(over):
    """Kills one host at a time, and starts it again."""
    n = 0
    while not over.done():
        h = hosts[n % 3]
        h.kill()
        await asyncio.sleep(0.3)  # so long it is dead,
        await asyncio.get_running_loop().run_in_executor(None, h.start)
        await asyncio.sleep(0.2)  # and all are there, while requests go on
        n += 1
    return n


async def stalled(want):
    end = time.monotonic() + crowd.LIMIT
    while (got := sum(h.counts()["stalled"] for h in hosts)) != want:
        assert time.monotonic() < end, f"{got} requests are with the hosts, not {want}"
        await asyncio.sleep(0.02)


async def clients_leave():
    """While their hosts stall, and no time ends the request: each host is told."""
    conns = await crowd.in_batches(crowd.Crowd().dial, LEAVING)
    asks = [asyncio.ensure_future(c.ask("stall", "left", body=i % 2 * 70000)) for i, c in enumerate(conns)]
    await stalled(LEAVING)
    for i, c in enumerate(conns):
        c.abort() if i % 3 else c.close()
    await stalled(0)
    await asyncio.gather(*asks, return_exceptions=True)


async def main():
    quiet = crowd.Crowd()
    idle = await crowd.in_batches(quiet.dial, IDLE)
    assert all(await asyncio.gather(*[quiet.one(c, "ok") for c in idle[::10]]))
    print(f"case pass {IDLE}_connections_are_opened", flush=True)

    c = await phase(ACTIVE, 3)
    for act, outcome in c.seen:
        assert outcome in MUST[act], f"{act}: {c.outcomes(act)}"
    print("case pass hosts_that_stall_reset_and_lie", flush=True)

    await clients_leave()
    print("case pass the_work_of_clients_that_leave_ends", flush=True)

    work = asyncio.ensure_future(phase(ACTIVE, 3))
    killed = await churn(work)
    c = await work
    for act, outcome in c.seen:
        assert outcome in MUST[act] | {502, 503, "cut"}, f"{act}: {c.outcomes(act)}"
    assert killed and c.outcomes("ok")[200] > 500, (killed, c.outcomes("ok"))
    print("case pass hosts_that_are_killed", flush=True)

    for i in range(0, IDLE, 500):
        assert all(await asyncio.gather(*[quiet.one(c, "ok", 100) for c in idle[i:i + 500]])), "an idle connection was ended"
    quiet.account()
    assert quiet.outcomes("ok") == {200: IDLE * 11 // 10}, quiet.seen
    print("case pass the_idle_ones_noticed_nothing", flush=True)
    for c in idle:
        c.close()

asyncio.run(main())
PY
none_left() {
	[ "$(metric weft_http_active)" = 0 ] && [ "$(metric weft_listener_open)" = 0 ] &&
		[ "$(metric weft_http_upstreams)" = "$(metric weft_http_idle_upstreams)" ]
}
wait_for 60 none_left
is "$(metric weft_proxy_exits_total)" 0 "the proxy lives, and nothing is left in it"
weftd_stop
