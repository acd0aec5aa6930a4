"""Evals: a client of the gateway that reads its records. They arrive with their own issue."""
