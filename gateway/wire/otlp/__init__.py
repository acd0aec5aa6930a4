"""OTLP over HTTP, as agents send their spans (https://opentelemetry.io/docs/specs/otlp, 1.9): protobuf and JSON."""
