#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A real WebSocket client and server (python3-websockets) through the proxy: messages of all sizes, pings, close codes, many
# at once, reloads in between, quiet ones past the listener's idle time, ends on either side.
. "$(dirname "$0")/../lib/net.sh"
PY=/usr/bin/python3                             # Debian's, whose package it is
$PY -c 'import websockets' 2> /dev/null || skip "python3-websockets is not installed"

# With HOP an HTTP/2 connection lies between two listeners of the same proxy: the handshake and its bytes go both ways over it.
hosts() { echo "- {name: $1, connectTimeout: 60s, endpoints: [{address: \"127.0.0.1:$2\"}]${3:-}}"; }
cat > "$T/weft.yaml" <<YAML
workers: 2
kernel: {mode: off}
listeners:
- {name: web, address: "127.0.0.1:8080", protocol: http, routes: [all]}
- {name: brief, address: "127.0.0.1:8081", protocol: http, routes: [all], timeouts: {idle: 1s}}
$([ -z "${HOP:-}" ] || echo '- {name: inner, address: "127.0.0.1:8082", protocol: http, routes: [far]}')
routes:
- {name: all, rules: [{backends: [{cluster: app}]}]}
$([ -z "${HOP:-}" ] || echo '- {name: far, rules: [{backends: [{cluster: far}]}]}')
clusters:
$([ "${HOP:-}" ] && hosts app 8082 ', protocol: http2, connectionPool: {idleTimeout: 500ms}' || hosts app 9001)
$([ -z "${HOP:-}" ] || hosts far 9001)
YAML
weftd_start
cat > "$T/ws.py" <<'PY'
import asyncio
import os
import subprocess
import sys
import traceback

import websockets
from websockets.exceptions import ConnectionClosed, ConnectionClosedError

LIMIT = 60
live = set()
seen = asyncio.Queue()


async def host(ws, path):
    live.add(ws)
    try:
        if path == "/close":
            await ws.close(4001, "enough of that")
        elif path == "/abort":
            await ws.recv()
            ws.transport.abort()
        elif path == "/ask":
            waiter = await ws.ping(b"are you there")
            await asyncio.wait_for(waiter, LIMIT)
            await ws.send("you are")
        async for m in ws:
            await ws.send(m)
    except ConnectionClosed:
        pass
    finally:
        live.discard(ws)
        await seen.put((path, ws.close_code, ws.close_reason))


def dial(path="/echo", port=8080, **kw):
    return websockets.connect(f"ws://127.0.0.1:{port}{path}", open_timeout=LIMIT, close_timeout=LIMIT, ping_interval=None, max_size=None, **kw)


async def gone(path):
    while True:
        p, code, reason = await asyncio.wait_for(seen.get(), LIMIT)
        if p == path:
            return code, reason


async def messages_of_all_sizes():
    async with dial() as ws:
        for n in (0, 1, 125, 126, 65535, 65536, 1000000):
            for m in (os.urandom(n), "ä" * n):
                await ws.send(m)
                assert await asyncio.wait_for(ws.recv(), LIMIT) == m, n


async def twenty_megabytes_in_one_message():
    for compression in (None, "deflate"):
        m = os.urandom(20 << 20)
        async with dial(compression=compression) as ws:
            await ws.send(m)
            assert await asyncio.wait_for(ws.recv(), LIMIT) == m


async def a_message_in_pieces():
    async with dial() as ws:
        await ws.send([b"one ", b"two ", b"three"])
        assert await asyncio.wait_for(ws.recv(), LIMIT) == b"one two three"


async def compression_is_agreed_on_end_to_end():
    async with dial() as ws:
        assert any(e.name == "permessage-deflate" for e in ws.extensions), ws.extensions
    async with dial(compression=None) as ws:
        assert not ws.extensions


async def protocols_are_agreed_on_end_to_end():
    async with dial(subprotocols=["none", "chat"]) as ws:
        assert ws.subprotocol == "chat", ws.subprotocol


async def pings_both_ways():
    async with dial("/ask") as ws:
        assert await asyncio.wait_for(ws.recv(), LIMIT) == "you are"
        for i in range(20):
            await asyncio.wait_for(await ws.ping(b"%d" % i), LIMIT)


async def close_codes_both_ways():
    async with dial("/close") as ws:
        try:
            await asyncio.wait_for(ws.recv(), LIMIT)
            raise AssertionError("not closed")
        except ConnectionClosedError as e:
            assert (e.rcvd.code, e.rcvd.reason) == (4001, "enough of that"), e
    ws = await dial("/mine")
    await ws.close(4002, "mine")
    assert await gone("/mine") == (4002, "mine")


async def a_host_that_aborts_is_noticed():
    ws = await dial("/abort")
    await ws.send("x")
    try:
        await asyncio.wait_for(ws.recv(), LIMIT)
        raise AssertionError("not closed")
    except ConnectionClosedError:
        assert ws.close_code == 1006, ws.close_code


async def a_client_that_aborts_is_noticed():
    ws = await dial("/left")
    await ws.send("x")
    assert await asyncio.wait_for(ws.recv(), LIMIT) == "x"
    ws.transport.abort()
    assert (await gone("/left"))[0] == 1006


async def a_quiet_one_ends_after_the_idle_time_one_with_pings_does_not():
    quiet, pings = await dial("/quiet", 8081), await dial("/pings", 8081)

    async def ping():
        while pings.open:
            await pings.ping()
            await asyncio.sleep(0.1)
    beat = asyncio.ensure_future(ping())
    await asyncio.wait_for(quiet.wait_closed(), LIMIT)
    assert quiet.close_code == 1006, quiet.close_code
    await pings.send("still there")
    assert await asyncio.wait_for(pings.recv(), LIMIT) == "still there"
    beat.cancel()
    await pings.close()


async def weft(*args):
    p = await asyncio.create_subprocess_exec(sys.argv[1], *args, stdout=subprocess.DEVNULL)
    assert await asyncio.wait_for(p.wait(), LIMIT) == 0, args


async def three_hundred_talk_while_the_configuration_changes():
    socks = await asyncio.gather(*[dial("/many") for _ in range(300)])
    rounds = [0]

    async def talk(ws, i):
        for k in range(20):
            m = f"{i} {k} " + "x" * (i * k % 3000)
            await ws.send(m)
            assert await asyncio.wait_for(ws.recv(), LIMIT) == m
            rounds[0] += 1

    async def reloads():
        while rounds[0] < 300 * 20:
            await weft("reload")
    await asyncio.gather(reloads(), *[talk(ws, i) for i, ws in enumerate(socks)])
    await asyncio.gather(*[ws.close() for ws in socks])
    assert rounds[0] == 6000


async def main():
    failed = 0
    server = await websockets.serve(host, "127.0.0.1", 9001, ping_interval=None, max_size=None, subprotocols=["chat"], backlog=1024,
                                    close_timeout=LIMIT)
    for case in (messages_of_all_sizes, twenty_megabytes_in_one_message, a_message_in_pieces,
                 compression_is_agreed_on_end_to_end, protocols_are_agreed_on_end_to_end, pings_both_ways,
                 close_codes_both_ways, a_host_that_aborts_is_noticed, a_client_that_aborts_is_noticed,
                 a_quiet_one_ends_after_the_idle_time_one_with_pings_does_not,
                 three_hundred_talk_while_the_configuration_changes):
        try:
            await asyncio.wait_for(case(), 4 * LIMIT)
            print(f"case pass {case.__name__}", flush=True)
        except Exception as e:
            failed += 1
            traceback.print_exc()
            print(f"case fail {case.__name__}: {type(e).__name__}: {e}".replace("\n", " "), flush=True)
    for _ in range(LIMIT * 20):
        if not live:
            break
        await asyncio.sleep(0.05)
    assert not live, f"{len(live)} are left at the host"
    server.close()
    sys.exit(failed > 0)

asyncio.run(main())
PY
$PY "$T/ws.py" "$B/weft"
none_left() { [ "$(metric weft_http_active)" = 0 ] && [ "$(metric weft_listener_open)" = 0 ] && [ "$(metric weft_http_upstreams)" = 0 ]; }
wait_for 20 none_left
is "$(metric weft_proxy_exits_total)" 0 "the proxy lives, and nothing is left in it"
weftd_stop
