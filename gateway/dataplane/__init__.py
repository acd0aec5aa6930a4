"""The path of a request, from bytes to bytes."""
