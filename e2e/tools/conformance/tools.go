//go:build tools

// Package tools pins the OCI conformance suite for the end-to-end suites.
package tools

import _ "github.com/opencontainers/distribution-spec/conformance"
