"""Metrics and log lines, derived from records."""
