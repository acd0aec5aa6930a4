"""Patterns matched in linear time and in step with a text that arrives in pieces: what is found, and from where on
a match is still open, depends on the characters alone and not on how they were cut.

The leftmost match of each place is its longest one (POSIX). Backtracking engines cannot give this: they take time
that grows with the square of a text or worse, and they do not say whether a match may still grow.
"""
