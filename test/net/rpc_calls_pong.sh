#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What rpc_calls.sh tries, for a protocol of a plugin that has no numbers on the wire.
export PROTOCOLS=pong
. "$(dirname "$0")/rpc_calls.sh"
