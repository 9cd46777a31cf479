//go:build tools

// Package kubelogin pins kubelogin and what it needs, for tools/clients.sh.
package kubelogin

import _ "github.com/int128/kubelogin"
