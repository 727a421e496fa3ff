//go:build tools

// Package tools pins Pebble, an ACME authority for tests, for the end-to-end suites.
package tools

import (
	_ "github.com/letsencrypt/pebble/v2/cmd/pebble"
	_ "github.com/letsencrypt/pebble/v2/cmd/pebble-challtestsrv"
)
