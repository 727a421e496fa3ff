//go:build tools

// Package tools pins CNCF Distribution for the end-to-end suites.
package tools

import _ "github.com/distribution/distribution/v3/cmd/registry"
