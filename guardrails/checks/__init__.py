"""The checks. `guardrails.registry` lists them."""
