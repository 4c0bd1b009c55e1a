"""Changes as the fold reads them: the contract's own messages, with only what is counted in them.

The views are derived from the contract, so that the two cannot drift apart. Messages inside a
message and bytes have the same form on the wire; scopes, attributes and acts stay bytes here: a
scope is looked up by its bytes, and most changes have no acts at all.

There are two views of a batch. In the plain one all fields that most images lack are one ``oneof``:
whether any of them is there is then one question instead of twenty, and what they hold is read with
the other view.
"""

from typing import Any

from bluetick.v1 import change_pb2, snapshot_service_pb2
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field = descriptor_pb2.FieldDescriptorProto
_PACKAGE = "bluetick.analytics.v1"
_IMAGE, _CHANGE, _BATCH = "ImageView", "ChangeView", "BatchView"
_SNAPSHOT, _PAGE = "SnapshotView", "PageView"
_PLAIN_IMAGE, _PLAIN_CHANGE, _PLAIN_BATCH = "PlainImageView", "PlainChangeView", "PlainBatchView"
# Name of the ``oneof``.
ODD = "odd"
# Of an image; all other fields are passed over. A family that counts another field names it here.
IMAGE_FIELDS = (
    "state", "is_counted", "is_recovered", "failure_reason", "failure_code", "undeliver_time_us",
    "deliver_time_us", "read_time_us", "evidence_time_us", "click_count", "click_time_us",
    "reply_count", "reply_time_us", "tap_count", "tap_time_us", "unsubscribe_time_us",
    "complain_time_us", "machine_click_count", "human_click_time_us", "scope", "attributes",
    "human_read_time_us", "machine_read_count", "opted_out_before_time_us",
    "complained_before_time_us", "person_key", "tapped_button_ids", "reached_goals",
    "cohort_time_us", "attempt_count", "contact_id",
)  # fmt: skip
_PLAIN_FIELDS = frozenset((
    "state", "is_counted", "deliver_time_us", "read_time_us", "evidence_time_us",
    "human_read_time_us", "scope", "person_key", "cohort_time_us", "attempt_count",
    "contact_id",
))  # fmt: skip
_FIELDS = {
    _IMAGE: (change_pb2.MessageImage.DESCRIPTOR, IMAGE_FIELDS),
    _CHANGE: (
        change_pb2.MessageChanged.DESCRIPTOR,
        ("message_key", "version", "old_image", "new_image", "acts", "cause", "part"),
    ),
    _BATCH: (
        change_pb2.MessageChangedBatch.DESCRIPTOR,
        ("batch_id", "tenant_id", "changes", "oldest_event_time_us"),
    ),
    _PLAIN_IMAGE: (change_pb2.MessageImage.DESCRIPTOR, IMAGE_FIELDS),
    _PLAIN_CHANGE: (
        change_pb2.MessageChanged.DESCRIPTOR,
        ("message_key", "version", "old_image", "new_image", "acts", "cause"),
    ),
    _PLAIN_BATCH: (
        change_pb2.MessageChangedBatch.DESCRIPTOR,
        ("batch_id", "tenant_id", "changes", "oldest_event_time_us"),
    ),
    _SNAPSHOT: (
        snapshot_service_pb2.MessageSnapshot.DESCRIPTOR,
        ("message_key", "tenant_id", "version", "image", "acts"),
    ),
    _PAGE: (
        snapshot_service_pb2.StreamSnapshotResponse.DESCRIPTOR,
        ("messages", "next_after", "read_time_us"),
    ),
}
# Lists of which only is asked whether they are empty: of a list that is read as one value, the last
# entry stands for all, and none is the empty text.
_ASKED_IF_EMPTY = {name: frozenset({"reached_goals"}) for name in _FIELDS}
# A part of a change has acts, too.
_ASKED_IF_EMPTY[_PLAIN_CHANGE] = frozenset({"acts"})
# Messages that are read as messages; the others stay bytes.
_SEEN_INSIDE = {
    ("changes", "MessageChanged"): _CHANGE,
    ("old_image", "MessageImage"): _IMAGE,
    ("new_image", "MessageImage"): _IMAGE,
    ("image", "MessageImage"): _IMAGE,
    ("messages", "MessageSnapshot"): _SNAPSHOT,
}
_PLAIN = {_IMAGE: _PLAIN_IMAGE, _CHANGE: _PLAIN_CHANGE}


def _view(name: str) -> descriptor_pb2.DescriptorProto:
    contract, wanted = _FIELDS[name]
    view = descriptor_pb2.DescriptorProto(name=name)
    is_plain = name in (_PLAIN_IMAGE, _PLAIN_CHANGE, _PLAIN_BATCH)
    if name == _PLAIN_IMAGE:
        view.oneof_decl.add(name=ODD)
    for field in contract.fields:
        if field.name not in wanted:
            continue
        seen = view.field.add(name=field.name, number=field.number)
        is_odd = name == _PLAIN_IMAGE and field.name not in _PLAIN_FIELDS
        is_list = field.is_repeated and field.name not in _ASKED_IF_EMPTY[name] and not is_odd
        if is_odd:
            seen.oneof_index = 0
        seen.label = _Field.LABEL_REPEATED if is_list else _Field.LABEL_OPTIONAL
        if field.message_type is not None:
            inside = _SEEN_INSIDE.get((field.name, field.message_type.name))
            seen.type = _Field.TYPE_MESSAGE if inside else _Field.TYPE_BYTES
            if inside:
                inside = _PLAIN.get(inside, inside) if is_plain else inside
                seen.type_name = f".{_PACKAGE}.{inside}"
        elif is_plain and field.name == "contact_id":
            # Nearly always compared only.
            seen.type = _Field.TYPE_BYTES
        elif field.enum_type is not None:
            # Values that this release does not know arrive as their numbers.
            seen.type = _Field.TYPE_INT32
        else:
            seen.type = _Field.Type.ValueType(field.type)
    missing = set(wanted) - {field.name for field in view.field}
    assert not missing, f"{contract.name} has no {missing}"
    return view


def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="bluetick/analytics/v1/change_view.proto", package=_PACKAGE, syntax="proto3"
    )
    file.message_type.extend(_view(name) for name in _FIELDS)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = {name: pool.FindMessageTypeByName(f"{_PACKAGE}.{name}") for name in _FIELDS}
    return {name: message_factory.GetMessageClass(found[name]) for name in found}


_made = _classes()
# What these classes make is typed ``Any``: they exist at run time only.
ImageView: Any = _made[_IMAGE]
ChangeView: Any = _made[_CHANGE]
BatchView: Any = _made[_BATCH]
PlainBatchView: Any = _made[_PLAIN_BATCH]
SnapshotView: Any = _made[_SNAPSHOT]
PageView: Any = _made[_PAGE]
