"""Trains the classifiers: `python -m guardrails.training NAME` writes the weights and the figures of the card.

For developers, with the extra `training`; not part of the installed package, and nothing of that imports it.
"""
