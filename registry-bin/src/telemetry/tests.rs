//! What the environment asks for.

use super::settings::Protocol;
use super::*;

fn settings(variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    Settings::read(|name| {
        variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    })
}

#[test]
fn nothing_is_sent_unless_something_is_asked_for() {
    for (variables, traces, metrics) in [
        (&[][..], false, false),
        (&[("OTEL_SERVICE_NAME", "x"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")], false, false),
        (&[("OTEL_TRACES_EXPORTER", "otlp")], true, false),
        (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318")], true, false),
        (&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:4318/v1/traces")], true, false),
        (&[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://c:4318/v1/metrics")], false, true),
        (&[("OTEL_METRICS_EXPORTER", "otlp")], false, true),
        (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c"), ("OTEL_TRACES_EXPORTER", "none")], false, false),
        (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c"), ("OTEL_SDK_DISABLED", "true")], false, false),
        (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")], false, false),
    ] {
        let settings = settings(variables).unwrap();
        assert_eq!((settings.traces, settings.metrics), (traces, metrics), "{variables:?}");
    }
}

#[test]
fn each_signal_has_its_protocol() {
    let protocols = |variables: &[(&str, &str)]| {
        let settings = settings(variables).unwrap();
        (settings.trace_protocol, settings.metric_protocol)
    };
    assert_eq!(protocols(&[]), (Protocol::Http, Protocol::Http));
    let both = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    assert_eq!(protocols(&[both]), (Protocol::Grpc, Protocol::Grpc));
    let traces = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf");
    assert_eq!(protocols(&[both, traces]), (Protocol::Http, Protocol::Grpc));
}

#[test]
fn what_is_not_supported_is_named_with_what_is() {
    for (variable, value, expected) in [
        (
            "OTEL_TRACES_EXPORTER",
            "zipkin",
            "OTEL_TRACES_EXPORTER: \"zipkin\" is not supported; it is one of otlp, none",
        ),
        (
            "OTEL_METRICS_EXPORTER",
            "prometheus",
            "OTEL_METRICS_EXPORTER: \"prometheus\" is not supported; it is one of otlp, none",
        ),
        (
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "http/json",
            "OTEL_EXPORTER_OTLP_PROTOCOL: \"http/json\" is not supported; it is one of http/protobuf, grpc",
        ),
    ] {
        assert_eq!(settings(&[(variable, value)]).unwrap_err().to_string(), expected);
    }
}

#[test]
fn the_name_of_the_service_is_the_operators_if_there_is_one() {
    assert!(!settings(&[]).unwrap().named);
    assert!(settings(&[("OTEL_SERVICE_NAME", "x")]).unwrap().named);
    assert!(settings(&[("OTEL_RESOURCE_ATTRIBUTES", "a=b, service.name=x")]).unwrap().named);
    assert!(!settings(&[("OTEL_RESOURCE_ATTRIBUTES", "service.namespace=x")]).unwrap().named);
}
