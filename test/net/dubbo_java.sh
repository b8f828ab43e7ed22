#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Dubbo 2.7 through the daemon with its own Java library on both sides: every kind of call, retries, times, ejection, TLS, reload.
PROTO=dubbo A_NAME=weft.peers.Shop A_METHOD=later
. "$(dirname "$0")/../lib/rpc_java.sh"
java_main "$@"
