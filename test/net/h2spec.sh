#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# All cases of h2spec, on plain text and on TLS, through a listener whose hosts speak HTTP/1.1.
. "$(dirname "$0")/../lib/go_tool.sh"
H2SPEC=$(go_tool h2spec github.com/summerwind/h2spec/cmd/h2spec) || exit 1
export H2SPEC
. "$(dirname "$0")/../lib/net.sh"
. "$(dirname "$0")/../lib/certs.sh"

self_signed "$T/shop" DNS:shop,IP:127.0.0.1
cat > "$T/weft.yaml" <<YAML
workers: 2
kernel: {mode: off}
listeners:
- {name: web, address: "127.0.0.1:8080", protocol: http, routes: [all]}
- name: safe
  address: "127.0.0.1:8443"
  protocol: http
  routes: [all]
  tls: {mode: strict, alpn: [h2, http/1.1], certificates: [{cert: $T/shop.crt, key: $T/shop.key}]}
routes:
- name: all
  rules: [{backends: [{cluster: app}]}]
clusters:
- {name: app, endpoints: [{address: "127.0.0.1:9001"}]}
YAML
weftd_start
cat > "$T/cases.py" <<'PY'
import os
import subprocess
from http_rig import *

host = Host(9001)


def spec(*more):
    out = subprocess.run([os.environ["H2SPEC"], "-S", "-o", str(LIMIT), "-h", "127.0.0.1", *more],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    # What failed stands behind this word, with what was expected.
    assert "\n146 tests, 146 passed, 0 skipped, 0 failed" in out.stdout, out.stdout.split("Failures:")[-1]


@case
def plain_text():
    spec("-p", "8080")


@case
def tls():
    spec("-p", "8443", "-t", "-k")


run()
PY
PYTHONPATH=$SRC/test/lib python3 "$T/cases.py"

none_left() { [ "$(metric weft_http_active)" = 0 ]; }
wait_for 60 none_left
weftd_stop
