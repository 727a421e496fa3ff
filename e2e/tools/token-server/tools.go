//go:build tools

// Package tools pins the token server that Distribution 2.8 ships, for the suite auth-token.
package tools

import _ "github.com/docker/distribution/contrib/token-server"
