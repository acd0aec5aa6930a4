"""Decisions without I/O: values in, a value with a `reason` out."""
