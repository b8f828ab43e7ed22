# SPDX-License-Identifier: Apache-2.0
# Test programs that are Go modules: built once, from source, with every module pinned by hash, and kept outside the clone.
# Source it before net.sh, whose namespaces have no way out.
#
#   go_tool NAME PACKAGE     -> prints the program's path; builds it where it is not yet
#
# test/lib/go/NAME/go.mod and go.sum say which versions; a change of either is another program. A new one: write the
# go.mod, `go mod tidy` beside a .go file that imports the package, and remove that file.
go_tools=${XDG_CACHE_HOME:-$HOME/.cache}/weft/go
go_tool_src=$(cd "$(dirname "${BASH_SOURCE[0]}")/go" && pwd)

go_tool() {
	local name=$1 package=$2 dir pin path new
	dir=$go_tool_src/$name
	pin=$(cat "$dir/go.mod" "$dir/go.sum" | sha256sum | cut -c 1-12)
	path=$go_tools/$name-$pin/${package##*/}
	if [ ! -x "$path" ]; then
		[ -z "${WEFT_TEST_OUTER:-}" ] || { echo "go_tool: $name is not built" >&2; return 1; }
		command -v go > /dev/null || { echo "go_tool: go is missing: test/lib/deps.sh test installs it" >&2; return 1; }
		mkdir -p "${path%/*}"
		new=$path.new$$
		(cd "$dir" && GOTOOLCHAIN=local GOFLAGS=-buildvcs=false CGO_ENABLED=0 go build -mod=readonly -o "$new" "$package") >&2 ||
			{ echo "go_tool: $package could not be built" >&2; return 1; }
		mv "$new" "$path"
	fi
	echo "$path"
}
