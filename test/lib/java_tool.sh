# SPDX-License-Identifier: Apache-2.0
# Test programs in Java: built once, from sources here and jars pinned by hash, and kept outside the clone.
# Source it before net.sh, whose namespaces have no way out.
#
#   java_tool NAME     -> prints the class path of test/lib/java/NAME; builds it where it is not yet
#
# pom.xml says which jars, jars.sha256 what they are; a change of either fetches again, a change of src/ compiles again.
# New versions: change pom.xml, `java_jars NAME DIR` and `(cd DIR && sha256sum *.jar) > jars.sha256`.
java_tools=${XDG_CACHE_HOME:-$HOME/.cache}/weft/java
java_src=$(cd "$(dirname "${BASH_SOURCE[0]}")/java" && pwd)

# java_jars NAME DIR: what the pom names, by Maven, whose own files are not kept.
java_jars() {
	local repo rc=0
	repo=$(mktemp -d)
	nice mvn -q -B -Dstyle.color=never -f "$java_src/$1/pom.xml" -Dmaven.repo.local="$repo" \
		org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$2" >&2 || rc=$?
	rm -rf "$repo"
	return $rc
}

java_missing() {
	[ -z "${WEFT_TEST_OUTER:-}" ] || { echo "java_tool: $1 is not built" >&2; return 1; }
	command -v javac > /dev/null && command -v mvn > /dev/null ||
		{ echo "java_tool: JDK or Maven is missing: test/lib/deps.sh test installs them" >&2; return 1; }
}

java_tool() {
	local name=$1 dir=$java_src/$1 jars classes new
	jars=$java_tools/$name-jars-$(cat "$dir/pom.xml" "$dir/jars.sha256" | sha256sum | cut -c 1-12)
	classes=$java_tools/$name-$(cat "$dir/pom.xml" "$dir/jars.sha256" $(find "$dir/src" -type f | LC_ALL=C sort) | sha256sum | cut -c 1-12)
	mkdir -p "$java_tools"
	if [ ! -d "$jars" ]; then
		java_missing "$name" || return 1
		new=$(mktemp -d "$jars.XXXXXX")
		{ java_jars "$name" "$new" || java_jars "$name" "$new"; } && (cd "$new" && sha256sum --quiet -c "$dir/jars.sha256") >&2 ||
			{ rm -rf "$new"; echo "java_tool: the jars of $name could not be fetched as they are pinned" >&2; return 1; }
		mv -T "$new" "$jars" 2> /dev/null || rm -rf "$new"
	fi
	if [ ! -d "$classes" ]; then
		java_missing "$name" || return 1
		new=$(mktemp -d "$classes.XXXXXX")
		nice javac -nowarn -encoding UTF-8 -XDsuppressNotes --release 17 -cp "$jars/*" -d "$new" $(find "$dir/src" -name '*.java') >&2 &&
			{ [ ! -d "$dir/src/META-INF" ] || cp -r "$dir/src/META-INF" "$new"; } ||
			{ rm -rf "$new"; echo "java_tool: $name could not be compiled" >&2; return 1; }
		mv -T "$new" "$classes" 2> /dev/null || rm -rf "$new"
	fi
	echo "$classes:$jars/*"
}
