"""What stops the gateway from starting on this machine, as it is now."""

from __future__ import annotations


class StartFailed(Exception):
    """The configuration is right but the machine is not: a port in use, a state directory that is taken, a child that
    ends.

    The message is for the person who must act and is printed without a traceback; the command ends with 1.
    """
