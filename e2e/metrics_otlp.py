"""A collector that takes traces and metrics by OTLP, over HTTP and over gRPC, and writes a line of JSON for each
span and each metric. Prints its two ports when it is ready. With a certificate and its key it speaks TLS on both.

    metrics_otlp.py FILE [CERTIFICATE KEY]
"""

import concurrent.futures
import gzip
import http.server
import json
import ssl
import sys
import threading

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

OUT = open(sys.argv[1], "w", encoding="utf-8")  # noqa: SIM115 (for the life of the process)
LOCK = threading.Lock()


def write(row):
    with LOCK:
        OUT.write(json.dumps(row) + "\n")
        OUT.flush()


def value(any_value):
    return getattr(any_value, any_value.WhichOneof("value")) if any_value.WhichOneof("value") else None


def attributes(pairs):
    return {pair.key: value(pair.value) for pair in pairs}


def traces(request, how, headers):
    for group in request.resource_spans:
        for scope in group.scope_spans:
            for span in scope.spans:
                write({
                    "kind": "span", "how": how, "headers": headers,
                    "resource": attributes(group.resource.attributes),
                    "name": span.name, "span_kind": span.kind, "trace": span.trace_id.hex(),
                    "id": span.span_id.hex(), "parent": span.parent_span_id.hex(),
                    "attributes": attributes(span.attributes), "status": span.status.code,
                    "nanoseconds": span.end_time_unix_nano - span.start_time_unix_nano,
                })


def metrics(request, how, headers):
    for group in request.resource_metrics:
        for scope in group.scope_metrics:
            for metric in scope.metrics:
                data = getattr(metric, metric.WhichOneof("data"))
                for point in data.data_points:
                    write({
                        "kind": "metric", "how": how, "headers": headers, "name": metric.name,
                        "resource": attributes(group.resource.attributes),
                        "attributes": attributes(point.attributes), "value": point.as_double,
                    })


class Http(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        headers = {name.lower(): text for name, text in self.headers.items()}
        if self.path == "/v1/traces":
            traces(trace_service_pb2.ExportTraceServiceRequest.FromString(body), "http", headers)
            answer = trace_service_pb2.ExportTraceServiceResponse()
        elif self.path == "/v1/metrics":
            metrics(metrics_service_pb2.ExportMetricsServiceRequest.FromString(body), "http", headers)
            answer = metrics_service_pb2.ExportMetricsServiceResponse()
        else:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(answer.ByteSize()))
        self.end_headers()
        self.wfile.write(answer.SerializeToString())

    def log_message(self, *_):
        pass


class Traces(trace_service_pb2_grpc.TraceServiceServicer):
    def Export(self, request, context):
        traces(request, "grpc", dict(context.invocation_metadata()))
        return trace_service_pb2.ExportTraceServiceResponse()


class Metrics(metrics_service_pb2_grpc.MetricsServiceServicer):
    def Export(self, request, context):
        metrics(request, "grpc", dict(context.invocation_metadata()))
        return metrics_service_pb2.ExportMetricsServiceResponse()


web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Http)
tls = sys.argv[2:4]
if tls:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*tls)
    web.socket = context.wrap_socket(web.socket, server_side=True)
rpc = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
trace_service_pb2_grpc.add_TraceServiceServicer_to_server(Traces(), rpc)
metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(Metrics(), rpc)
if tls:
    certificate, key = (open(path, "rb").read() for path in tls)  # noqa: SIM115
    port = rpc.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, certificate)]))
else:
    port = rpc.add_insecure_port("127.0.0.1:0")
rpc.start()
print(web.server_port, port, flush=True)
web.serve_forever()
