//go:build tools

// Package tools pins crane for the end-to-end suites.
package tools

import _ "github.com/google/go-containerregistry/cmd/crane"
