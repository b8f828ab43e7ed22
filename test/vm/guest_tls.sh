# SPDX-License-Identifier: Apache-2.0
# Runs inside the machine, as /test/run: weftd with `tls.kernel: auto` on a kernel that has TLS, Python and openssl its peers.
PATH=$(cat /test/path):$PATH
python=$(cat /test/python)
export PYTHONHOME=$(cat /test/home) PYTHONPATH=/test PYTHONDONTWRITEBYTECODE=1 T=/tmp
mkdir -p /etc
echo "root:x:0:0::/:/bin/sh" > /etc/passwd
echo "nobody:x:65534:65534::/:/bin/sh" >> /etc/passwd
weftd -c /test/weft.yaml > /tmp/weftd.log 2>&1 &
$python /test/tls_kernel.py cases /test || bad=1
[ -z "$bad" ] || cat /tmp/weftd.log
grep 'tls: `kernel: auto`: this kernel makes TLS records' /tmp/weftd.log || bad=1
[ -z "$bad" ]
