#!/usr/bin/env bash
# Installs the software of others that the tests in test/clients run, below build/clients. It keeps what is there in the
# right version, so a second run does nothing and needs no network.
#
# tools/clients.sh [quick]: all, or only what `make test` needs.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p build/clients

# go_program NAME PACKAGE VERSION: a program from the Go module proxy.
go_program() {
	if ! go version -m "build/clients/$1" 2>/dev/null | grep -q "^[[:space:]]mod[[:space:]].*[[:space:]]$3[[:space:]]"; then
		GOBIN="$PWD/build/clients" GOFLAGS='-trimpath -buildvcs=false' go install "$2@$3"
	fi
}

go_program oauth2-proxy github.com/oauth2-proxy/oauth2-proxy/v7 v7.15.6

# npm_packages NAME: the packages of npm, in the versions of test/clients/NAME/package-lock.json.
npm_packages() {
	if ! cmp -s "test/clients/$1/package-lock.json" "build/clients/$1/package-lock.json"; then
		mkdir -p "build/clients/$1"
		cp "test/clients/$1/package.json" "test/clients/$1/package-lock.json" "build/clients/$1/"
		npm ci --prefix "build/clients/$1" --ignore-scripts --no-audit --no-fund </dev/null ||
			{ rm -f "build/clients/$1/package-lock.json"; exit 1; }
	fi
}

npm_packages node

# The packages of PyPI, in the versions of test/clients/python/requirements.txt.
if ! cmp -s test/clients/python/requirements.txt build/clients/python/requirements.txt; then
	python3 -m venv --clear build/clients/python
	build/clients/python/bin/pip install --quiet --disable-pip-version-check -r test/clients/python/requirements.txt
	cp test/clients/python/requirements.txt build/clients/python/
fi

[ "${1:-all}" != quick ] || exit 0

if ! command -v mvn >/dev/null || ! command -v javac >/dev/null; then
	as_root=()
	[ "$(id -u)" -eq 0 ] || as_root=(sudo)
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y --no-install-recommends maven default-jdk-headless </dev/null
fi

# The packages of Maven Central that test/clients/java/pom.xml names, with what they need.
if ! cmp -s test/clients/java/pom.xml build/clients/java/pom.xml; then
	rm -rf build/clients/java
	mvn --quiet --batch-mode -f test/clients/java/pom.xml dependency:copy-dependencies -DincludeScope=runtime \
		"-DoutputDirectory=$PWD/build/clients/java/lib"
	cp test/clients/java/pom.xml build/clients/java/
fi

go_program miniflux.app miniflux.app/v2 v2.3.5
go_program spa github.com/hashicorp/cap/oidc/examples/spa v0.16.0
npm_packages angular

# kubelogin is built in a module of its own: its repository lists no versions, which "go install" wants to see.
if ! go version -m build/clients/kubelogin 2>/dev/null | grep -q "int128/kubelogin.*v1.28.0"; then
	GOFLAGS='-trimpath -buildvcs=false' go -C test/clients/kubelogin build -o ../../../build/clients/kubelogin \
		github.com/int128/kubelogin
fi
