"""The headers of a callback as providers look at them: by name, decoded when they are asked for."""

from collections.abc import Iterator, Mapping
from typing import Any


class CallbackHeaders(Mapping[str, str]):
    """Headers by their names in lower case; a provider looks at one or two of ten."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[bytes, bytes]) -> None:
        """Show ``fields``: names in lower case, both as they came (Latin-1)."""
        self._fields = fields

    def __getitem__(self, name: str) -> str:
        """Return the value of a header."""
        return self._fields[name.encode("latin-1")].decode("latin-1")

    # As `Mapping` has it, without its exception for each header that is not there.
    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of a header; ``default`` if it was not sent."""
        value = self._fields.get(name.encode("latin-1"))
        return default if value is None else value.decode("latin-1")

    def __iter__(self) -> Iterator[str]:
        """Give the names."""
        return (name.decode("latin-1") for name in self._fields)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._fields)
