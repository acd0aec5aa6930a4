"""Guardrails: checks over text that know nothing of HTTP. The first checks arrive with their own issue."""
