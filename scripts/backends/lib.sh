# SPDX-License-Identifier: Apache-2.0
# What the scripts of the backends share. Each is called as
#
#     NAME.sh build DIR             makes DIR/bin/NAME-VERSION from Go modules, unless it is there
#     NAME.sh has DIR               status 0 if that is there
#     NAME.sh run DIR PLACE PORT [FLAG...]   runs it on loopback, with all its data in PLACE
#
# and sets before it sources this: name, version, module, sum (of the module, as go.sum has it; empty:
# a module of our own), and the functions build_in (in a copy of the module: makes $1) and serve (becomes
# the server). Versions are exact: mirrors of Go modules may serve nothing else.
set -eu
go=${GO:-go}
verb=${1:-} dir=${2:-}
if [ -z "$dir" ]; then
	echo "usage: $0 build|has DIR, $0 run DIR PLACE PORT [FLAG...]" >&2
	exit 2
fi
mkdir -p "$dir/bin"
dir=$(cd "$dir" && pwd)
program=$dir/bin/$name-$version

build() {
	[ ! -x "$program" ] || return 0
	command -v "$go" >/dev/null || {
		echo "$0: no Go to build $name with" >&2
		return 1
	}
	# Apart from the user's own; they stay, so that a build that was cut short goes on where it was.
	export GOPATH="$dir/gopath" GOCACHE="$dir/gocache" GOTOOLCHAIN=local GOWORK=off GOFLAGS=
	source=$dir/src/$name
	[ ! -e "$source" ] || chmod -R u+w "$source"
	rm -rf "$source"
	mkdir -p "$source"
	if [ -n "$sum" ]; then
		(cd "$dir" && "$go" mod download -json "$module@$version") | grep -qF "\"Sum\": \"$sum\"" || {
			echo "$0: $module@$version is not to be had, or its checksum is not $sum" >&2
			return 1
		}
		cp -r "$GOPATH/pkg/mod/$module@$version/." "$source"
		chmod -R u+w "$source"
	fi
	cd "$source"
	build_in "$program.new"
	cd "$dir"
	mv "$program.new" "$program"
	rm -rf "$source"
}

case $verb in
build) build ;;
has) [ -x "$program" ] ;;
run)
	place=$3 port=$4
	shift 4
	mkdir -p "$place"
	cd "$place"
	serve "$@"
	;;
*)
	echo "$0: '$verb' is not build, has or run" >&2
	exit 2
	;;
esac
