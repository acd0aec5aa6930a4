"""Files and environment to a validated `Config`, and that to an immutable `Snapshot`."""
