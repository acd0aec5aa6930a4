"""The chaos suite: a gateway under load whose workers, authority, clock and disk fail, and the account of it all.

`python -m tests.chaos` (`make chaos`) runs it; tests/README.md says what it checks.
"""
