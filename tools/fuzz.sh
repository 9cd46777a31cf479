#!/usr/bin/env bash
# Runs every fuzz target with new inputs for a duration like 5m, one after the other. It finds the
# targets by their names. A failing input is written to testdata/fuzz next to its test; go test runs
# it from then on.
#
# A target is stopped with an interrupt: up to Go 1.26, go test -fuzztime sometimes reports the end of
# its time as a failure (go.dev/issue/75804).
set -euo pipefail
cd "$(dirname "$0")/.."

long=${1:?how long each runs, like 5m}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
module=$(go list -m)
corpus=$(go env GOCACHE)/fuzz # where go test also stores inputs that reach new code

fuzz() { # folder target
	(cd "$1" && timeout --foreground --signal=INT --kill-after=1m --preserve-status "$long" \
		"$work/test" -test.run='^$' -test.fuzz="^$2\$" -test.fuzzcachedir="$corpus/$module/${1#./}" \
		-test.parallel=2 -test.fuzzminimizetime=2s) >"$work/log" 2>&1 || return
	grep '^fuzz: elapsed' "$work/log" | tail -n 1 # none: it did not run
}

ran=0 failed=()
for folder in $(find . -name '*_test.go' -exec grep -l '^func Fuzz' {} + | xargs -r -n 1 dirname | sort -u); do
	go test -c -fuzz=. -o "$work/test" "$folder"
	targets=$("$work/test" -test.list '^Fuzz')
	for target in $targets; do
		echo "$folder $target"
		ran=$((ran + 1))
		fuzz "$folder" "$target" || { cat "$work/log"; failed+=("$folder $target"); }
	done
done
[ "$ran" -gt 0 ] || { echo "no fuzz targets found" >&2; exit 1; }
if [ "${#failed[@]}" -gt 0 ]; then
	printf 'failed: %s\n' "${failed[@]}" >&2
	exit 1
fi
echo "$ran fuzz targets, $long each"
