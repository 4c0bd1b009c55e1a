"""From a single part of one of Meta's bodies back to a body that holds nothing else."""

from typing import Final

from services.ingest.providers.meta_payload import WHATSAPP

# On-Premises bodies have at the top what others have in ``value``: see `dialog360.py`.
ON_PREMISES_TOP: Final = "body"
_PREFERENCES: Final = "user_preferences"


def whole_of(part: bytes, place: str) -> bytes:
    """Return a body with ``part`` at ``place`` ("entry[0].changes[2].value.statuses[1]").

    What stood around it (times of the entry, the business's number) was not kept, and no event is
    made of it.
    """
    names = place.split(".")
    if names[0] == ON_PREMISES_TOP:
        return _nested(part, names[1:], field="")
    field = _PREFERENCES if names[-1].startswith(_PREFERENCES) else "messages"
    inner = _nested(part, names, field=field)
    return b'{"object":"%s",%s' % (WHATSAPP.encode(), inner[1:])


def _nested(part: bytes, names: list[str], *, field: str) -> bytes:
    for name in reversed(names):
        plain, bracket, _ = name.partition("[")
        content = b"[%s]" % part if bracket else part
        beside = b'"field":"%s",' % field.encode() if plain == "value" else b""
        part = b'{%s"%s":%s}' % (beside, plain.encode(errors="replace"), content)
    return part
