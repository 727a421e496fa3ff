//go:build tools

// Package tools pins helm for the end-to-end suites.
package tools

import _ "helm.sh/helm/v3/cmd/helm"
