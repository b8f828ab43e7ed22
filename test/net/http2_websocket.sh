#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# All that http_websocket asks for, over streams of HTTP/2 (RFC 8441) between two listeners.
HOP=http2
. "$(dirname "$0")/http_websocket.sh"
