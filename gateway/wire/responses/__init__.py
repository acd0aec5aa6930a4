"""OpenAI's `POST /v1/responses`, as it is and translated."""
