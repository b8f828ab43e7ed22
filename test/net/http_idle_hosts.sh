#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Idle connections to hosts: closed before the time that a host names in Keep-Alive, and not used any more when it is over.
. "$(dirname "$0")/../lib/net.sh"
write_file "$T/weft.yaml" <<YAML
workers: 1
kernel: {mode: off}
listeners:
- {name: web, address: "127.0.0.1:8080", protocol: http, routes: [all]}
routes:
- name: all
  rules:
  - {matches: [{path: {value: /silent}}], backends: [{cluster: silent}]}
  - {matches: [{path: {value: /told}}], backends: [{cluster: told}]}
clusters:
- {name: silent, endpoints: [{address: "127.0.0.1:9001"}]}
- {name: told, endpoints: [{address: "127.0.0.1:9002"}], connectionPool: {idleTimeout: 1h}}
YAML
weftd_start
PYTHONPATH=$SRC/test/lib python3 - <<'PY'
import os, signal
from http_rig import *

silent, told = Host(9001), Host(9002)
TIMEOUT = "Keep-Alive: timeout=1, max=100\r\n"


def stopped(pid):
    states = [open(f"/proc/{pid}/task/{t}/stat").read().rsplit(")", 1)[1].split()[0] for t in os.listdir(f"/proc/{pid}/task")]
    return set(states) == {"T"}


@case
def a_host_that_names_a_time_keeps_no_connection_longer():
    told.on["/told"] = reply(headers=TIMEOUT)
    is_(get("/silent").status, 200)  # idle before the other, and for longer
    r = get("/told")
    is_((r.status, r.get("keep-alive")), (200, None))
    eventually(lambda: told.open == 0)
    is_((silent.open, told.conns), (1, 1))


@case
def the_last_word_holds_for_all_that_come_behind():
    told.on["/told"] = lambda c, r: answer(c, r, b"ok", headers=TIMEOUT if r.number == 1 else "")
    c = Client()
    is_([c.ask("/told").status for _ in range(3)], [200] * 3)
    eventually(lambda: told.open == 0)
    is_(silent.open, 1)
    c.close()


@case
def a_connection_whose_time_is_over_is_not_used_even_if_nobody_has_looked():
    """The proxy stands still while the time passes; a POST that met the host's FIN could not be sent again."""
    hosts_end = []

    def keep(c, r):
        hosts_end.append(c)
        answer(c, r, b"ok", headers=TIMEOUT)
    told.on["/told"] = keep
    c = Client()
    for _ in range(3):
        is_(c.ask("/told", "POST", body="x").status, 200)
        pid, conns = proxy(), told.conns
        os.kill(pid, signal.SIGSTOP)
        try:
            eventually(lambda: stopped(pid))
            c.send("POST /told HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
            time.sleep(0.7)  # time is the subject: half of the second is what the connection may be idle
            hosts_end[-1].sock.shutdown(socket.SHUT_RDWR)
        finally:
            os.kill(pid, signal.SIGCONT)
        r = c.response()
        is_((r.status, told.conns), (200, conns + 1))
    c.close()


run()
PY
weftd_stop
