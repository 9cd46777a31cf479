#!/usr/bin/env bash
# Runs every fuzz target of the tree for so long (20s, 5m), one after the other. They are found by
# their names, so a new one needs no list. An input that fails is written to testdata/fuzz beside
# its test, and is a case of it from then on.
#
# A target is stopped as by Ctrl-C: go test -fuzztime, up to Go 1.26, now and then takes the end
# of its time for a failure (go.dev/issue/75804).
set -euo pipefail
cd "$(dirname "$0")/.."

long=${1:?for how long each, like 5m}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
module=$(go list -m)
corpus=$(go env GOCACHE)/fuzz # where go test too keeps what reaches new code

fuzz() { # room target
	(cd "$1" && timeout --foreground --signal=INT --kill-after=1m --preserve-status "$long" \
		"$work/test" -test.run='^$' -test.fuzz="^$2\$" -test.fuzzcachedir="$corpus/$module/${1#./}" \
		-test.parallel=2 -test.fuzzminimizetime=2s) >"$work/log" 2>&1 || return
	grep '^fuzz: elapsed' "$work/log" | tail -n 1 # none: it did not run
}

ran=0 failed=()
for room in $(find . -name '*_test.go' -exec grep -l '^func Fuzz' {} + | xargs -r -n 1 dirname | sort -u); do
	go test -c -fuzz=. -o "$work/test" "$room"
	targets=$("$work/test" -test.list '^Fuzz')
	for target in $targets; do
		echo "$room $target"
		ran=$((ran + 1))
		fuzz "$room" "$target" || { cat "$work/log"; failed+=("$room $target"); }
	done
done
[ "$ran" -gt 0 ] || { echo "no fuzz targets found" >&2; exit 1; }
if [ "${#failed[@]}" -gt 0 ]; then
	printf 'failed: %s\n' "${failed[@]}" >&2
	exit 1
fi
echo "$ran fuzz targets, $long each"
