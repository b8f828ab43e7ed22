#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What a page takes from the code is in step with it, and links between pages lead somewhere.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
build=${WEFT_BUILD:-build} rc=0

if diff -u docs/configuration.md <("$build/weftd" --tool config-docs); then
	echo "case pass docs/configuration.md"
else
	echo "case fail docs/configuration.md: run make docs"
	rc=1
fi

# A link to a file of the tree leads somewhere.
while IFS=: read -r page link; do
	target=$(dirname "$page")/${link%%#*}
	if [ ! -e "$target" ]; then
		echo "case fail $page: links to $link, which does not exist"
		rc=1
	fi
done < <(grep -oE '\]\([^)#:][^):]*\)' README.md CONTRIBUTING.md CHANGELOG.md docs/*.md 2> /dev/null | sed -E 's/\]\(([^)]*)\)$/\1/')
[ $rc -ne 0 ] || echo "case pass links between pages"
exit $rc
