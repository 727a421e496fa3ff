// Command crds decodes the custom resources that our manifests contain with the Go types of the projects that define
// them, and fails on a field that these do not have.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
)

func decode(document []byte) (string, error) {
	var kind struct{ APIVersion, Kind string }
	if err := json.Unmarshal(document, &kind); err != nil {
		return "", err
	}
	name := kind.APIVersion + " " + kind.Kind
	var object any
	switch name {
	case "gateway.networking.k8s.io/v1 HTTPRoute":
		object = &gateway.HTTPRoute{}
	case "monitoring.coreos.com/v1 ServiceMonitor":
		object = &monitoring.ServiceMonitor{}
	default:
		return name, fmt.Errorf("no types for this kind")
	}
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.DisallowUnknownFields()
	return name, decoder.Decode(object)
}

// Reads one JSON document after the other from standard input.
func main() {
	documents := json.NewDecoder(os.Stdin)
	count := 0
	for {
		var document json.RawMessage
		if err := documents.Decode(&document); err == io.EOF {
			break
		} else if err != nil {
			fail("standard input: %v", err)
		}
		name, err := decode(document)
		if err != nil {
			fail("%s: %v", name, err)
		}
		count++
	}
	fmt.Printf("%d custom resources decoded\n", count)
}

func fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "crds: "+format+"\n", arguments...)
	os.Exit(1)
}
