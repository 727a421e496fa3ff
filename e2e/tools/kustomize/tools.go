//go:build tools

// Package tools pins kustomize for the end-to-end suites.
package tools

import _ "sigs.k8s.io/kustomize/kustomize/v5"
