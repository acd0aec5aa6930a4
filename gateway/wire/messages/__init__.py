"""Anthropic's format: `POST /v1/messages` and `/v1/messages/count_tokens`, as it is and translated."""
