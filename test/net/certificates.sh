# SPDX-License-Identifier: Apache-2.0
# Certificates and keys follow their files: rename, the swap of a mounted Secret; what is wrong leaves the old in use.
. "$(dirname "$0")/../lib/net.sh"
command -v openssl > /dev/null || skip "no openssl"

M=$T/secret
mkdir -p "$M"
pair() {  # CN [DAYS]: $T/new.crt and $T/new.key
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$T/new.key" -out "$T/new.crt" \
		-days "${2:-30}" -subj "/CN=$1" -addext "subjectAltName=DNS:$1.example" 2> "$T/openssl.log"
}
# As a kubelet writes a Secret: files are links into ..data, which is a link that is swapped by rename.
swap() {  # version
	mkdir -p "$M/..$1"
	cp "$T/new.crt" "$M/..$1/tls.crt"
	cp "$T/new.key" "$M/..$1/tls.key"
	ln -s "..$1" "$M/..data_tmp"
	mv -T "$M/..data_tmp" "$M/..data"
	[ -L "$M/tls.crt" ] || ln -s ..data/tls.crt ..data/tls.key "$M"
}
served() {  # common name of what a client of the listener is shown
	openssl s_client -connect 127.0.0.1:8443 -servername "$1" < /dev/null 2> "$T/client.log" | openssl x509 -noout -subject
}
serves() { [ "$(served "$1")" = "subject=CN = $2" ]; }
shows() { grep -q "$1" <<< "$(admin /certificates)"; }
metric() { admin /metrics | sed -n "s/^weft_secrets_$1 //p"; }
unready() { [ "$(admin_status /ready)" = 503 ]; }

pair one
swap one
pair plain
cp "$T/new.crt" "$T/plain.crt"
cp "$T/new.key" "$T/plain.key"
cp "$T/new.crt" "$T/ca.crt"
cat > "$T/weft.yaml" <<YAML
kernel: {mode: off}
clusters:
- {name: app, endpoints: [{address: "127.0.0.1:9001"}], tls: {trustedCA: $T/ca.crt}}
listeners:
- name: web
  address: 127.0.0.1:8443
  tls: {certificates: [{cert: $M/tls.crt, key: $M/tls.key}, {cert: $T/plain.crt, key: $T/plain.key}]}
  routes: [{rules: [{backends: [{cluster: app}]}]}]
YAML
weftd_start
ok "the certificate is in use" shows 'CN=one"'
ok "with its names" shows 'DNS:one.example'
is "$(metric secrets)" 3 "two pairs and a CA"
like "$(metric expires)" '^1[0-9]{9}$|^[2-9][0-9]{9}$' "when the first one expires is a metric"

# Nothing that is shown has a key in it.
for what in /certificates /snapshot /config /registries; do
	fails "$what shows no key" grep -q 'PRIVATE KEY' <(admin "$what")
done
like "$(admin /snapshot)" '"private_key":"[0-9]+ bytes"' "the snapshot says how long it is"

pair two
swap two
wait_for 10 shows 'CN=two"'
ok "the swap of a mounted Secret is seen" shows 'CN=two"'
wait_for 10 serves any.example two
ok "and new connections are shown it" serves any.example two

# Two files replaced one after the other: no moment in between is taken for a fault.
pair three
mv "$T/new.crt" "$T/plain.crt"
pause 0.3  # the moment itself: long enough to be looked at
mv "$T/new.key" "$T/plain.key"
wait_for 10 shows 'CN=three"'
is "$(metric unwell)" 0 "a certificate that came before its key is no fault"
is "$(metric refused_total)" 0 "and is not counted as one"

# A key that does not fit stays: said, counted, and the old pair stays in use.
pair four
mv "$T/new.crt" "$T/plain.crt"
wait_for 20 unready
like "$(admin /ready)" 'secrets: .*plain.key: not the key of the first certificate in .*plain.crt; the old content stays in use' "/ready says which"
like "$(cat "$T/weftd.log")" 'error secrets: .*plain.key: not the key' "the log too"
like "$(metric refused_total)" '^[1-9]' "it is counted"
ok "the old one is in use" shows 'CN=three"'
mv "$T/new.key" "$T/plain.key"
wait_for 10 weftd_ready
ok "and mended it is taken" shows 'CN=four"'

rm "$T/plain.crt"
wait_for 20 unready
like "$(admin /ready)" 'plain.crt: No such file' "a file that went is said"
cp "$M/..two/tls.crt" "$T/plain.crt"
cp "$M/..two/tls.key" "$T/plain.key"
wait_for 20 weftd_ready

# What nobody names any more is forgotten; what is named again is read.
cp "$T/weft.yaml" "$T/with.yaml"
echo 'kernel: {mode: off}' > "$T/weft.yaml"
weft reload > "$T/out"
wait_for 20 shows '"certificates": *\[\]'
is "$(metric secrets)" 0 "forgotten when nobody names them"
cp "$T/with.yaml" "$T/weft.yaml"
weft reload > "$T/out"
ok "and read when somebody does again" shows 'CN=two"'
wait_for 10 serves any.example two

fails "the log has no key" grep -q 'PRIVATE KEY' "$T/weftd.log"
weftd_stop

# A configuration that names what cannot be used is refused, by --check too.
sed -i "s|$T/plain.key|$T/none.key|" "$T/weft.yaml"
rc=0
"$B/weftd" -c "$T/weft.yaml" --check > "$T/check.out" 2>&1 || rc=$?
is $rc 2 "--check: exit code 2"
like "$(cat "$T/check.out")" 'weft.yaml:5: listener web: .*none.key: No such file' "--check says where and what"
rc=0
"$B/weftd" -c "$T/weft.yaml" > "$T/start.out" 2>&1 || rc=$?
is $rc 2 "weftd does not start: exit code 2"
like "$(cat "$T/start.out")" 'none.key: No such file' "and says why"
