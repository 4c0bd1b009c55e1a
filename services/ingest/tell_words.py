"""Give words that a provider's dialect has no meaning for the meaning that their account says."""

from collections.abc import Mapping

from bluetick.v1 import common_pb2 as pb

from services.ingest.domain.reading import Reading
from services.ingest.domain.word_kinds import WORD_KINDS
from services.ingest.providers.failures import STAGE_BY_KIND, explain


def tell_words(reading: Reading, words: Mapping[str, str]) -> None:
    """Change what ``words`` knows (word -> kind) among the events without a meaning.

    What is told of no message of ours can be no more than an information.
    """
    for event in list(reading.batch.events):
        if event.kind != pb.EVENT_KIND_UNKNOWN:
            continue
        kind = WORD_KINDS.get(words.get(event.provider_word, ""))
        if kind is None or not (event.message_key or kind == pb.EVENT_KIND_INFO):
            continue
        event.kind = kind  # type: ignore[assignment]
        if kind in STAGE_BY_KIND:
            codes = [event.provider_code]
            explain(reading, event, codes, event.detail, known_as=event.provider_word)
