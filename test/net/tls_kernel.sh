#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Listeners and clusters with `tls.kernel: auto` on the kernel of this machine, whether it has TLS or not: all works, and
# what is missing is said. test/vm does the same on kernels that have it.
. "$(dirname "$0")/../lib/net.sh"
. "$(dirname "$0")/../lib/certs.sh"
export PYTHONPATH=$SRC/test/lib PYTHONDONTWRITEBYTECODE=1

tls_kernel_certs() {
	make_ca ca
	make_cert web ca DNS:web.example
	make_cert client ca URI:spiffe://td.example/ns/a/sa/client
}
mkdir "$T/tls"
(cd "$T/tls" && tls_kernel_certs)
python3 "$SRC/test/lib/tls_kernel.py" config "$T/tls" > "$T/weft.yaml"
weftd_start
python3 "$SRC/test/lib/tls_kernel.py" cases "$T/tls"
