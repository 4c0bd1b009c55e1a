"""Reads messages for exports: their images as they are stored, and what was clicked."""
# Names come from the tables, values are always parameters.
# ruff: noqa: S608

from collections.abc import Sequence
from typing import Final

from bluetick.v1.change_pb2 import MessageAct, MessageImage
from bluetick.v1.common_pb2 import EVENT_KIND_CLICKED

from libs.runtime.database import Database
from services.status.adapters import tables
from services.status.adapters.message_store import MessageStore
from services.status.adapters.statements import look_up
from services.status.domain.acts import act_bytes
from services.status.domain.packing import unpack_record
from services.status.domain.wire import VARINT, tag
from services.status.export_messages import Exported

_READ: Final = f"""
SELECT k.message_key, t.image, t.dimensions, t.record
FROM unnest($1::text[], $2::bytea[]) AS k(tenant_id, message_key)
{look_up(tables.messages, "t.version, t.image, t.dimensions, t.record", "message_key", "tenant_id")}
WHERE t.version > 0
"""
# In an image with clicks, and hardly ever by chance in another, which costs no more than a look.
_CLICKS: Final = tag(MessageImage.CLICK_COUNT_FIELD_NUMBER, VARINT)


class ExportRows:
    """See export_messages.ExportReader."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def exported(self, tenant_id: str, keys: Sequence[bytes]) -> dict[bytes, Exported]:
        """See export_messages.ExportReader.exported."""
        wanted = sorted(keys)
        async with self._database.transaction() as connection:
            rows = await connection.fetch(_READ, [tenant_id] * len(wanted), wanted)
            clicked = [(tenant_id, key) for key, image, _, _ in rows if _CLICKS in image]
            known = await MessageStore(connection).read_all_acts(clicked) if clicked else {}
        links: dict[bytes, list[str]] = {}
        for (_, key), acts in known.items():
            told = [MessageAct.FromString(act_bytes(a)) for a in acts if not a.is_withdrawn]
            clicks = (one.engagement for one in told if one.kind == EVENT_KIND_CLICKED)
            links[key] = sorted({one.link_id or one.url for one in clicks} - {""})
        return {
            key: Exported(
                key,
                image + dimensions,
                unpack_record(record).address if record is not None else "",
                links.get(key, ()),
            )
            for key, image, dimensions, record in rows
        }
