"""What was given already: what comes again is left out."""

from collections import OrderedDict

from bluetick.v1.change_pb2 import MessageChanged


class Memory:
    """Remembers the last ``size`` changes by their identity."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._given: OrderedDict[tuple[str, bytes, int, int], None] = OrderedDict()

    def knows(self, change: MessageChanged) -> bool:
        """Return whether it was given."""
        return _name(change) in self._given

    def keep(self, change: MessageChanged) -> None:
        """It was given, and whoever got it is done with it."""
        self._given[_name(change)] = None
        if len(self._given) > self._size:
            self._given.popitem(last=False)


def _name(change: MessageChanged) -> tuple[str, bytes, int, int]:
    return change.tenant_id, change.message_key, change.version, change.part
