"""360dialog: Meta's bodies, passed on without Meta's signature.

Source: 360dialog's webhook pages, as of September 2026. Meta's app secret belongs to 360dialog, so
nothing of Meta's can be checked; the operator sets a static header (or user and password in the
address) when the webhook is set up.

Numbers of the old On-Premises hosting send what Meta's Cloud API puts into ``value`` at the top of
the body: ``statuses``, ``messages``, ``contacts``, ``errors``. Their ids begin with "gBG", and
their codes are the On-Premises ones (1026 for 131026).
"""

from typing import ClassVar, Final

from msgspec import MsgspecError

from libs.runtime.accounts import Account
from services.ingest.domain.fields import text
from services.ingest.domain.reading import Reading
from services.ingest.providers import inbound, meta_parts, meta_statuses
from services.ingest.providers.bodies import read_whole
from services.ingest.providers.meta_body import BodyReader, decode_object
from services.ingest.providers.meta_payload import decode_status, tolerant_status
from services.ingest.providers.meta_quick_pass import read_packed, read_statuses_only
from services.ingest.providers.provider import Authentic, Callback, Dialect, Names, Refused
from services.ingest.providers.static_credential import OPTIONS, SECRETS, check_static_credential
from services.ingest.providers.unsigned_door import without_noise

_ON_PREMISES_PARTS: Final = frozenset({"errors", "messages", "statuses"})


class Dialog360(Dialect):
    """The dialect of 360dialog: Meta's, from the envelope on."""

    name = "dialog360"
    secrets: ClassVar[Names] = SECRETS
    options: ClassVar[Names] = {**OPTIONS, **inbound.OPTIONS}

    def authenticate(self, callback: Callback, account: Account) -> Authentic | Refused:
        """Compare the static header or the basic credential with any live one."""
        return check_static_credential(callback, account)

    def parse(self, callback: Callback, account: Account) -> Reading | Refused:
        """Read a body of either hosting."""
        reading = read_whole(callback, account, lambda empty: _read(empty, callback.body))
        return without_noise(reading, account)

    def parse_packed(self, callback: Callback, account: Account) -> Reading | Refused:
        """Read a body as ``parse`` does, with plain statuses as bytes."""
        return read_packed(callback, account) or self.parse(callback, account)

    def whole_of(self, part: bytes, place: str, account: Account) -> bytes:
        """Return a body with nothing but ``part``."""
        return meta_parts.whole_of(part, place)


def _read(reading: Reading, body: bytes) -> None:
    if not read_statuses_only(reading, body):
        reading.forget_after(0)
        _PartnerBody(reading, body).read()


class _PartnerBody(BodyReader):
    # On-Premises bodies describe their own version.
    descriptions = BodyReader.descriptions | {"meta"}

    def read(self) -> None:
        """Read all there is, of either hosting; never raises."""
        fields = self._fields_of_body()
        if fields is None:
            return
        if "object" in fields or not _ON_PREMISES_PARTS & fields.keys():
            super().read()
        else:
            self._read_messages_value(self._decodable, "body", None)

    def _read_status(self, raw: bytes) -> str:
        fields = decode_object(raw)
        try:
            status = decode_status(raw)
        except MsgspecError:
            status = tolerant_status(fields)
        # Seen beside the field of the same name, and documented in its place.
        status.recipient_id = status.recipient_id or text(fields, "message", "recipient_id")
        return meta_statuses.add_status(self._reading, status, raw, around=self._around)
