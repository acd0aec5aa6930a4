"""Prompts: versioned templates that know nothing of HTTP. They arrive with their own issue."""
