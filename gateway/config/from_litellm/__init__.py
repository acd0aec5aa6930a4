"""LiteLLM's proxy configuration to ours: what it says, what could not be carried, and what the reader must do."""
