"""Parts of one long SMS, told apart and put together by their user data header."""

from typing import Final

# Information elements (3GPP 23.040, 9.2.3.24.1 and .8) -> bytes of the reference in them.
_REFERENCE_BYTES: Final = {0x00: 1, 0x08: 2}
_HEADER_BYTES_MAX: Final = 140


def shared_by_parts(header: str) -> tuple[str, str]:
    """Return what all parts of a message have in common: its reference, and how many they are.

    Both are empty for a message of one part, and for what is no header.

    Args:
        header: in hexadecimal, as SMS interfaces write it ("050003CC0201").
    """
    try:
        data = bytes.fromhex(header[: 2 * _HEADER_BYTES_MAX])
    except ValueError:
        return "", ""
    elements = data[1 : 1 + data[0]] if data else b""
    while len(elements) >= 2:
        kind, size = elements[0], elements[1]
        content, elements = elements[2 : 2 + size], elements[2 + size :]
        width = _REFERENCE_BYTES.get(kind)
        if width is not None and len(content) == width + 2 and content[width] > 1:
            return content[:width].hex(), str(content[width])
    return "", ""
