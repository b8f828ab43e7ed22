# SPDX-License-Identifier: Apache-2.0
# Certificates of a test's own, in the current folder.
make_ca() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$1" -keyout "$1.key" -out "$1.crt" 2>/dev/null; }
# self_signed FILE NAMES: FILE.key and FILE.crt, as DNS:shop,IP:127.0.0.1
self_signed() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$(basename "$1")" -addext "subjectAltName=$2" \
		-keyout "$1.key" -out "$1.crt" 2>/dev/null || fail "no certificate"
}
# make_cert NAME CA SANS: both files by rename
make_cert() {
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout "$1.key.new" -out "$1.csr" 2>/dev/null
	openssl x509 -req -in "$1.csr" -CA "$2.crt" -CAkey "$2.key" -CAcreateserial -days 2 -out "$1.crt.new" \
		-extfile <(echo "subjectAltName=$3") 2>/dev/null
	chmod 644 "$1.key.new"
	mv "$1.key.new" "$1.key"
	mv "$1.crt.new" "$1.crt"
}
