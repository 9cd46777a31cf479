#!/usr/bin/env bash
# Installs the tools that the tests need and that are missing: PostgreSQL, PgBouncer, a browser, an authenticator,
# a reader of QR codes, an SMS gateway, reverse proxies, a web server with an OpenID Connect client,
# axe-core, openid-client, fail2ban, virtual environments of Python. It keeps what is installed already, so a second run
# does nothing and needs no network.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null || missing+=(postgresql)
[ -x /usr/sbin/pgbouncer ] || command -v pgbouncer >/dev/null || missing+=(pgbouncer) # Debian starts its service, on port 6432
command -v chromium >/dev/null || missing+=(chromium)
command -v oathtool >/dev/null || missing+=(oathtool)
[ -x /usr/sbin/smsbox ] || missing+=(kannel)
[ -x /usr/lib/kannel/test/fakesmsc ] || missing+=(kannel-extras)
command -v zbarimg >/dev/null || missing+=(zbar-tools)
[ -x /usr/sbin/apache2 ] || missing+=(apache2-bin) # without the service that the package apache2 starts
[ -e /usr/lib/apache2/modules/mod_auth_openidc.so ] || missing+=(libapache2-mod-auth-openidc)
command -v fail2ban-regex >/dev/null || missing+=(fail2ban) # Debian starts its service, which watches sshd
command -v pgrep >/dev/null || missing+=(procps)
command -v npm >/dev/null || missing+=(npm)
python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
[ -x /usr/sbin/nginx ] || command -v nginx >/dev/null || missing+=(nginx)
[ -x /usr/sbin/haproxy ] || command -v haproxy >/dev/null || missing+=(haproxy)
command -v gcc >/dev/null || missing+=(gcc libc6-dev) # for the race detector

if [ "${#missing[@]}" -gt 0 ]; then
	if ! command -v apt-get >/dev/null; then
		echo "Please install by hand, this is not a Debian: ${missing[*]}" >&2
		exit 1
	fi
	as_root=()
	[ "$(id -u)" -eq 0 ] || as_root=(sudo)
	"${as_root[@]}" apt-get update
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y --no-install-recommends "${missing[@]}" </dev/null
fi

# package@version: versions are pinned, so that every run installs the same.
packages=(axe-core@4.14.1 openid-client@6.8.9)
wanted=0
for package in "${packages[@]}"; do
	grep -qs "\"version\": \"${package#*@}\"" "build/node_modules/${package%@*}/package.json" || wanted=1
done
if [ "$wanted" -eq 1 ]; then
	mkdir -p build
	npm install --prefix build --no-save --ignore-scripts --no-audit --no-fund "${packages[@]}" </dev/null
fi

caddy=v2.11.9 # Debian's is older than the fixes of its forward_auth
if ! go version -m build/caddy 2>/dev/null | grep -q "caddy/v2[[:space:]]$caddy[[:space:]]"; then
	GOBIN="$PWD/build" GOFLAGS= go install "github.com/caddyserver/caddy/v2/cmd/caddy@$caddy"
fi
