#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Retries, condition by condition: how many requests a host gets of each failure, counted at the host.
. "$(dirname "$0")/../lib/net.sh"
ON="5xx gateway-error reset reset-before-request connect-failure refused-stream retriable-4xx retriable-status-codes"
{
	cat <<-YAML
	workers: 1
	kernel: {mode: off}
	telemetry: {accessLog: [{path: $T/access.json, format: json}]}
	listeners:
	- {name: web, address: "127.0.0.1:8080", protocol: http, routes: [all]}
	clusters:
	- {name: app, endpoints: [{address: "127.0.0.1:9001"}], outlierDetection: {consecutive5xx: 0}}
	- {name: dead, endpoints: [{address: "127.0.0.1:9"}], outlierDetection: {consecutive5xx: 0}}
	- {name: few, endpoints: [{address: "127.0.0.1:9001"}], connectionPool: {maxRetries: 1}}
	routes:
	- name: all
	  rules:
	  - matches: [{path: {value: /budget}}]
	    retry: {attempts: 3, on: [5xx], backoff: 1ms, budget: {percent: 0, minPerSecond: 0}}
	    backends: [{cluster: app}]
	  - matches: [{path: {value: /few}}]
	    retry: {attempts: 3, on: [5xx], backoff: 1ms, budget: {percent: 100, minPerSecond: 1000}}
	    backends: [{cluster: few}]
	  - matches: [{path: {value: /safe}}]
	    retry: {attempts: 2, backoff: 1ms, budget: {percent: 100, minPerSecond: 1000}}
	    backends: [{cluster: app}]
	YAML
	for on in $ON; do
		codes=
		[ "$on" != retriable-status-codes ] || codes='codes: ["418", 500-502],'
		for cluster in app dead; do
			cat <<-YAML
			  - matches: [{path: {value: /$cluster/$on}}]
			    timeouts: {backendRequest: 500ms}
			    retry: {attempts: 2, on: [$on], $codes backoff: 1ms, maxBackoff: 2ms, budget: {percent: 100, minPerSecond: 1000}}
			    backends: [{cluster: $cluster}]
			YAML
		done
	done
} > "$T/weft.yaml"
weftd_start
export T ON
PYTHONPATH=$SRC/test/lib python3 - <<'PY'
import os
from http_rig import *

ON = os.environ["ON"].split()
NONE = {"5xx", "gateway-error", "reset"}           # what asks for another try when no answer came


class Behave(dict):
    """The last part of a path says what its host does."""
    def get(self, path, default=None):
        return None if path.startswith("early ") else dict.get(self, path) or act


def act(c, r):
    what = r.path.rsplit("/", 1)[1]
    if what.isdigit():
        return answer(c, r, b"no", what + " Said")
    if what == "stall":
        return stall(c, r)
    if what == "reset":
        c.reset()
    return "close"


host = Host(9001)
host.on = Behave()


def tries(path, status, body=b"x"):
    """POST, so that nothing is sent again but by the rule."""
    host.forget()
    is_(get(path, "POST", body=body).status, status, path)
    assert all(r.body == body for r in host.requests), path
    return len(host.requests)


@case
def a_status():
    asks = {500: {"5xx", "retriable-status-codes"}, 502: {"5xx", "gateway-error", "retriable-status-codes"}, 503: {"5xx", "gateway-error"},
            504: {"5xx", "gateway-error"}, 505: {"5xx"}, 409: {"retriable-4xx"}, 408: set(), 200: set(), 499: set(), 417: set(),
            418: {"retriable-status-codes"}, 419: set(), 501: {"5xx", "retriable-status-codes"}}
    for status, who in asks.items():
        for on in ON:
            is_(tries(f"/app/{on}/{status}", status), 3 if on in who else 1, f"{status} for {on}")


@case
def no_answer():
    for what in "close", "reset":
        for on in ON:
            is_(tries(f"/app/{on}/{what}", 502), 3 if on in NONE else 1, f"{what} for {on}")


@case
def no_answer_in_time():
    for on in "5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "retriable-status-codes":
        is_(tries(f"/app/{on}/stall", 504), 3 if on in NONE else 1, f"a stall for {on}")


@case
def no_connection():
    """Two more are asked for beside any rule, as nothing was sent."""
    for on in ON:
        path = f"/dead/{on}/x"
        is_(get(path, "POST").status, 503)
        is_(logged(path)["tries"], 5 if on in {"5xx", "gateway-error", "connect-failure", "reset-before-request"} else 3, on)


@case
def what_is_safe_is_tried_without_a_word():
    """No conditions given: those for which the host has seen nothing."""
    is_(tries("/safe/503", 503), 1)
    is_(tries("/safe/close", 502), 1)


@case
def a_body_is_kept_up_to_64_kib():
    is_(tries("/app/5xx/500", 500, os.urandom(65536)), 3, "64 KiB")
    is_(tries("/app/5xx/500", 500, os.urandom(65537)), 1, "a byte more")
    is_(tries("/app/5xx/close", 502, os.urandom(65536)), 3)
    is_(tries("/app/5xx/close", 502, os.urandom(65537)), 1)


@case
def a_budget_of_nothing():
    is_(tries("/budget/503", 503), 1)
    line = logged("/budget/503")
    is_((line["tries"], line["flags"], line["detail"]), (1, "UO", "retry budget spent"))


@case
def one_retry_at_a_time():
    go = threading.Event()

    def second_waits(c, r):
        if sum(x.path == r.path for x in host.requests) > 1:
            go.wait(LIMIT)
        answer(c, r, b"no", "503 No")
    host.on["/few/one"] = second_waits
    host.forget()
    first = Client()
    first.send("GET /few/one HTTP/1.1\r\nHost: a\r\n\r\n")
    eventually(lambda: host.paths() == ["/few/one"] * 2)
    is_(get("/few/503").status, 503)
    is_(host.paths().count("/few/503"), 1, "the place is taken")
    go.set()
    is_(first.response().status, 503)
    is_(host.paths().count("/few/one"), 4)
    is_(get("/few/503").status, 503)
    is_(host.paths().count("/few/503"), 5, "and free again")


run()
PY
weftd_stop
