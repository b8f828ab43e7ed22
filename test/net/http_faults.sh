#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The proxy itself is killed and stopped under load: no client is refused, every request has its own answer or a closed
# connection, and the next proxy serves.
. "$(dirname "$0")/../lib/net.sh"

cat > "$T/weft.yaml" <<YAML
workers: 2
kernel: {mode: off}
listeners:
- {name: web, address: "127.0.0.1:8080", protocol: http, routes: [all]}
routes:
- name: all
  rules:
  - {timeouts: {request: 20s}, backends: [{cluster: app}]}
clusters:
- {name: app, endpoints: [{address: "127.0.0.1:9001"}, {address: "127.0.0.1:9002"}]}
YAML
weftd_start
PYTHONPATH=$SRC/test/lib PYTHONDONTWRITEBYTECODE=1 python3 - <<'PY'
import asyncio
import os
import random
import signal
import time

import crowd
from http_rig import case, run

crowd.many_descriptors()
rand = random.Random(5)
hosts = [crowd.HostProcess(p) for p in (9001, 9002)]


def choose():
    return rand.choice(("ok", "chunk", "echo", "slow", "late")), rand.choice((2, 5000, 100000)), rand.choice((1, 3000))


async def another(pid):
    end = time.monotonic() + crowd.LIMIT
    while crowd.proxy() in (None, pid):
        assert time.monotonic() < end, "no other proxy comes"
        await asyncio.sleep(0.05)


async def under_load(what, times):
    """what(pid) happens to the proxy so many times; between two of them every client gets some answers."""
    c, over = crowd.Crowd(), False
    clients = [asyncio.ensure_future(c.client(choose, lambda: not over)) for _ in range(200)]

    async def answered(n):
        want, end = sum(v for (_, o), v in c.seen.items() if o == 200) + n, time.monotonic() + crowd.LIMIT
        while sum(v for (_, o), v in c.seen.items() if o == 200) < want:
            assert time.monotonic() < end, "no answers come"
            await asyncio.sleep(0.05)
    for _ in range(times):
        await answered(500)
        pid = crowd.proxy()
        what(pid)
        await another(pid)
    await answered(500)
    over = True
    await asyncio.gather(*clients)
    c.account()
    for act, outcome in c.seen:
        assert outcome in (200, "cut", "closed"), f"{act}: {c.outcomes(act)}"
    lost = sum(v for (_, o), v in c.seen.items() if o != 200)
    # One request is under way on each connection; those are what a proxy takes with it.
    assert lost <= times * 200, f"{lost} requests were lost with {times} proxies"
    assert not c.refused, f"{c.refused} connections were refused"


@case
def three_proxies_are_killed_under_load():
    asyncio.run(under_load(lambda pid: os.kill(pid, signal.SIGKILL), 3))


@case
def a_proxy_that_stands_still_is_replaced_under_load():
    asyncio.run(under_load(lambda pid: os.kill(pid, signal.SIGSTOP), 1))


run()
PY
none_left() {
	[ "$(metric weft_http_active)" = 0 ] && [ "$(metric weft_listener_open)" = 0 ] &&
		[ "$(metric weft_http_upstreams)" = "$(metric weft_http_idle_upstreams)" ]
}
wait_for 60 none_left
is "$(metric weft_proxy_exits_total) $(metric weft_proxy_hangs_total)" "4 1" "no other proxy ended, and nothing is left in this one"
weftd_stop
