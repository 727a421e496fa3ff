//go:build tools

// Package tools pins oras for the end-to-end suites.
package tools

import _ "oras.land/oras/cmd/oras"
