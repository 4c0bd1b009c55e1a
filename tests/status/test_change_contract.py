"""What docs/asyncapi.yaml says of CHANGES is what status publishes."""

from pathlib import Path
from typing import Any

import jsonschema
from bluetick.v1 import change_pb2, common_pb2
from ruamel.yaml import YAML

from libs.runtime.broker import CHANGES_STREAM, Broker, changes_subject
from libs.testkit import builders
from services.status.domain.states import word
from tests.status.machine import Bench

PAGE = Path(__file__).parents[2] / "docs" / "asyncapi.yaml"
DOCUMENT: dict[str, Any] = YAML(typ="safe").load(PAGE.read_text())
CHANNEL = DOCUMENT["channels"]["changes"]
MESSAGE = DOCUMENT["components"]["messages"]["MessageChangedBatch"]


async def test_every_published_message_has_the_headers_of_the_document(
    published: Bench, broker: Broker
) -> None:
    """CloudEvents in binary mode: whoever routes by headers need not know our protos."""
    await published.apply(builders.a_registered(), builders.an_event())
    stored = await broker.jetstream.get_msg(CHANGES_STREAM, 1)
    batch = change_pb2.MessageChangedBatch.FromString(stored.data or b"")

    headers = {
        name: value
        for name, value in (stored.headers or {}).items()
        if name != "Nats-Expected-Stream"  # the broker's, about the publish
    }
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    jsonschema.validate(headers, MESSAGE["headers"], format_checker=checker)
    assert set(headers) == set(MESSAGE["headers"]["required"])
    assert headers["ce-id"] == headers["Nats-Msg-Id"] == batch.batch_id
    assert headers["ce-source"] == f"/bluetick/tenants/{batch.tenant_id}"
    assert headers["ce-subject"] == word(batch.state)
    assert headers["Bluetick-Schema"] == batch.DESCRIPTOR.full_name == MESSAGE["name"]
    (change,) = batch.changes
    assert change.message_ref
    assert change.provider_message_id
    assert change.is_state_moved


def test_subjects_and_states_of_the_document_are_those_of_the_code() -> None:
    """A consumer that filters by a word nobody publishes hears nothing, for ever."""
    states = {word(state) for state in common_pb2.MessageState.values()}

    assert CHANNEL["address"] == changes_subject("{tenant}", "{state}")
    assert set(CHANNEL["parameters"]["state"]["enum"]) == states
    assert set(MESSAGE["headers"]["properties"]["ce-subject"]["enum"]) == states


def test_the_document_is_of_the_form_of_asyncapi_3() -> None:
    """Every reference leads somewhere, and every required part is there."""
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= set(DOCUMENT["info"])
    for operation in DOCUMENT["operations"].values():
        assert operation["action"] in ("send", "receive")
    for reference in _references(DOCUMENT):
        if not reference.startswith("#/"):
            assert (PAGE.parent / reference).exists(), reference
            continue
        found: Any = DOCUMENT
        for name in reference.removeprefix("#/").split("/"):
            found = found[name]


def _references(part: Any) -> list[str]:
    if isinstance(part, dict):
        inner = [one for value in part.values() for one in _references(value)]
        return [part["$ref"], *inner] if "$ref" in part else inner
    return [one for value in part for one in _references(value)] if isinstance(part, list) else []
