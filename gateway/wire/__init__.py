"""The formats callers and backends speak; bytes in, values out, no I/O."""
