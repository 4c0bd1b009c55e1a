"""How Mailgun's callbacks come: JSON today, forms before, forms for inbound mail.

Inbound mail comes in three forms: taken apart into fields; as a raw email in ``body-mime``, where
the address of the route ends in "mime"; and as a notice that it was stored, with its headers and
without its text if it is long.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from services.ingest.domain.fields import Unreadable, object_at
from services.ingest.providers.decoding import (
    FORM_FIELDS_MAX,
    check_density,
    form_pairs,
    is_json_object,
    json_object,
    without_mark,
)
from services.ingest.providers.mime import decoded_header, read_email
from services.ingest.providers.provider import Callback

SIGNATURE_FIELDS: Final = ("timestamp", "token", "signature")
# Any of these says that a form is inbound mail.
INBOUND_FIELDS: Final = frozenset(
    {"In-Reply-To", "body-html", "body-mime", "body-plain", "message-url", "storage.url",
     "stripped-text"}
)  # fmt: skip
HEAD_BYTES_MAX: Final = 1_024
_BOUNDARY: Final = re.compile(r'boundary="?([^";\s]{1,70})', re.IGNORECASE)
_FIELD_NAME: Final = re.compile(rb'[;\s]name="([^"\r\n]*)"', re.IGNORECASE)


class Body(NamedTuple):
    """One form, as today's JSON would tell it."""

    signatures: list[Mapping[str, Any]]  # each with timestamp, token and signature
    data: Mapping[str, Any]  # of the form of JSON's "event-data"


class _Proof(msgspec.Struct):
    signature: object = None
    # A domain of a subaccount is signed by the parent account, too.
    parent_signature: object = msgspec.field(default=None, name="parent-signature")


_decode_proof = msgspec.json.Decoder(_Proof).decode


def signatures_of(callback: Callback) -> list[Mapping[str, Any]]:
    """Return what the body says that it is signed with; none if it cannot be read.

    Nothing is proven yet, so only the signatures are decoded, and nothing is mended.
    """
    try:
        if not _is_json(callback):
            return _of_form(_pairs(callback)).signatures
        check_density(callback.body)
        proof = _decode_proof(without_mark(callback.body))
    except (ValueError, RecursionError):
        return []
    blocks = (proof.signature, proof.parent_signature)
    return [block for block in blocks if isinstance(block, Mapping)]


def data_of(callback: Callback) -> Mapping[str, Any]:
    """Return the event, of the form of JSON's "event-data".

    Raises:
        Unreadable: the body is neither JSON nor a form.
    """
    if _is_json(callback):
        return object_at(json_object(callback.body), "event-data")
    return _of_form(_pairs(callback)).data


def _is_json(callback: Callback) -> bool:
    content_type = callback.headers.get("content-type", "").lower()
    if content_type.startswith("multipart/form-data"):
        return False
    # By its look, too: the content type is not always the truth.
    return "json" in content_type or is_json_object(callback.body)


def _pairs(callback: Callback) -> list[tuple[str, str]]:
    if callback.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        return _multipart_pairs(callback)
    # An email may be as long as a body: no form of another provider is.
    text = callback.body.decode("utf-8", errors="replace")
    return form_pairs(text, characters_max=len(text))


def _multipart_pairs(callback: Callback) -> list[tuple[str, str]]:
    """Decode a form with attachments; the attachments are left out.

    Nothing is proven yet, so parts within parts are not looked into: a general parser of emails can
    be kept busy for minutes.

    Raises:
        Unreadable: it has no boundary, or more parts than any provider sends.
    """
    found = _BOUNDARY.search(callback.headers.get("content-type", ""))
    if found is None:
        raise Unreadable("BOUNDARY_MISSING", "the form has no boundary")
    delimiter = b"--" + found.group(1).encode(errors="replace")
    if callback.body.count(delimiter) > FORM_FIELDS_MAX:
        raise Unreadable("FIELDS_TOO_MANY", f"the form has more than {FORM_FIELDS_MAX} fields")
    pairs = []
    for part in callback.body.split(delimiter)[1:]:
        head, _, content = part.partition(b"\r\n\r\n")
        name = _FIELD_NAME.search(head[:HEAD_BYTES_MAX])
        if name is not None and b"filename" not in head:
            value = content.removesuffix(b"\r\n").decode("utf-8", errors="replace")
            pairs.append((name.group(1).decode("utf-8", errors="replace"), value))
    return pairs


def _of_form(pairs: list[tuple[str, str]]) -> Body:
    """Return a form as today's JSON would tell it.

    The sender's variables are merged into the form and may hide a field: of a name that comes twice
    the first value is Mailgun's data and the last its signature (as django-anymail found).
    """
    first, last = dict(reversed(pairs)), dict(pairs)
    signature = {name: last.get(name, "") for name in SIGNATURE_FIELDS}
    word = first.get("event", "")
    if not word and not INBOUND_FIELDS.isdisjoint(first):
        # An inbound route forwards an email; it has no event of its own.
        word = "stored"
    if "body-mime" in first:
        return Body([signature], _of_raw_email(first, signature["timestamp"]))
    headers = {
        "message-id": first.get("Message-Id") or first.get("message-id", ""),
        # `sender` is the envelope's, where a mail server may write an address of its own.
        "from": first.get("from") or first.get("From", ""),
        "to": first.get("To", ""),
        "subject": first.get("subject", ""),
        "in-reply-to": first.get("In-Reply-To", ""),
    }
    data = {
        "event": word,
        "timestamp": signature["timestamp"],
        "recipient": first.get("recipient", ""),
        "sender": first.get("sender", ""),
        "reason": first.get("reason", ""),
        "url": first.get("url", ""),
        "text": first.get("stripped-text") or first.get("body-plain", ""),
        "message": {"headers": headers, "header-list": _header_list(first)},
        "delivery-status": {
            "code": first.get("code", ""),
            "message": first.get("error", ""),
            "description": first.get("description", ""),
        },
        "client-info": {"user-agent": first.get("user-agent", "")},
        "user-variables": first,
    }
    return Body([signature], data)


def _of_raw_email(form: Mapping[str, str], signed_at: str) -> dict[str, Any]:
    headers, text = read_email(form["body-mime"].encode(errors="replace"))
    headers["subject"] = decoded_header(headers.get("subject") or form.get("subject", ""))
    headers.setdefault("from", form.get("from", ""))
    return {
        "event": "stored",
        "is-raw": True,
        "timestamp": signed_at,
        "recipient": form.get("recipient", ""),
        "sender": form.get("sender", ""),
        "text": text,
        "message": {"headers": headers, "header-list": []},
    }


def _header_list(form: Mapping[str, str]) -> list[Any]:
    try:
        found = msgspec.json.decode(form.get("message-headers", ""))
    except (ValueError, RecursionError):
        return []
    return found if isinstance(found, list) else []
