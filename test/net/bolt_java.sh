#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# bolt through the daemon with its own Java library on both sides: every kind of call, retries, times, ejection, TLS, reload.
PROTO=bolt A_NAME=shop:1.0 A_METHOD=buy
. "$(dirname "$0")/../lib/rpc_java.sh"
java_main "$@"
