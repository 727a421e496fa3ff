//go:build tools

// Package tools pins MinIO, a real S3-compatible server, for the end-to-end suites.
package tools

import _ "github.com/minio/minio"
