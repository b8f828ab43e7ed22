#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The image holds all that its programs need: weftd runs in it with nothing else around. The same tree gives the same bytes.
set -euo pipefail
src=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${WEFT_BUILD:-$src/build}
[ "$(id -u)" = 0 ] || { echo "needs root to chroot"; exit 77; }

make -C "$src" BUILD="$build" image
chroot "$build/image" /usr/bin/weftd -c /etc/weft/weft.yaml --check
first=$(sha256sum < "$build/weft-image.tar")
make -C "$src" BUILD="$build" image
[ "$first" = "$(sha256sum < "$build/weft-image.tar")" ] || { echo "two builds of the image differ"; exit 1; }
python3 - "$build/weft-image.tar" <<'END'
import hashlib, json, sys, tarfile
tar = tarfile.open(sys.argv[1])
image, = json.load(tar.extractfile("manifest.json"))
config = json.load(tar.extractfile(image["Config"]))
layer = tar.extractfile(image["Layers"][0]).read()
assert config["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(layer).hexdigest()], "the layer is not what the config says"
END
