from bluetick.v1.event_pb2 import EventBatch
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.runtime.accounts import Account
from services.ingest.adapters.message_pieces import PieceLimits, pieces_of
from services.ingest.domain.bloated_events import TEXT_BYTES_MAX
from services.ingest.domain.reading import Reading
from services.ingest.providers.meta import Meta
from services.ingest.providers.provider import Callback, Refused
from services.ingest.record_callback import read_authentic
from tests.ingest.meta_bodies import ACCOUNT, callback, change, envelope, status

ITEMS = st.lists(st.tuples(st.sampled_from("eqr"), st.integers(0, 3_000)), max_size=40)


@settings(deadline=None)
@given(ITEMS, st.integers(1, 12), st.integers(200, 4_000))
def test_pieces_hold_everything_once_and_keep_the_limits(
    items: list[tuple[str, int]], events_max: int, bytes_max: int
) -> None:
    """What is neither in a piece nor refused would be lost behind an answer of 200."""
    batch = EventBatch()
    for what, size in items:
        if what == "e":
            batch.events.add(raw=b"x" * size)
        elif what == "q":
            batch.quarantined.add(body=b"x" * size)
        else:
            batch.door_reports.add(account="x" * size)

    pieces = pieces_of(batch, PieceLimits(batch_events_max=events_max, batch_bytes_max=bytes_max))

    together = EventBatch.FromString(b"".join(piece for piece, _ in pieces))
    assert together == batch
    assert sum(count for _, count in pieces) == len(items)
    assert all(len(piece) <= bytes_max or count == 1 for piece, count in pieces)
    assert all(0 < count <= events_max for _, count in pieces)


class _Wordy(Meta):
    """A reader that forgets one limit."""

    def parse(self, callback: Callback, account: Account) -> Reading | Refused:
        reading = super().parse(callback, account)
        assert isinstance(reading, Reading)
        reading.batch.events[0].engagement.url = "u" * (TEXT_BYTES_MAX + 1)
        return reading


def test_an_event_whose_texts_are_beyond_all_limits_is_kept_unread_beside_its_neighbours() -> None:
    """Behind the door texts are rows and lines; a reader that forgets a limit must not show."""
    padding = "x" * TEXT_BYTES_MAX
    given = callback(envelope(change(statuses=[status(), status("read", x=padding)])))

    reading = read_authentic(given, ACCOUNT, _Wordy())

    assert isinstance(reading, Reading)
    assert [event.provider_word for event in reading.batch.events] == ["read"]
    assert [(part.reason, part.body) for part in reading.batch.quarantined] == [
        ("TEXT_TOO_LONG", given.body)
    ]
