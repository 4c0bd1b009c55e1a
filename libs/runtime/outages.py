"""What every outage has in common: it passes, and callers may come back later."""


class Outage(Exception):
    """Something that a service stands on is away. The same call may succeed later."""
