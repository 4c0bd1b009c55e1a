"""Consent by side doors: the words by which people leave and come back, in many languages.

Only a whole text counts. "Please stop by tomorrow" is an answer, "STOP" is an opt-out: a word that
is taken for one where none was meant costs a subscriber, and one that is missed breaks the law.
"""

import unicodedata
from typing import Final

from bluetick.v1.common_pb2 import EVENT_KIND_RESUBSCRIBED, EVENT_KIND_UNSUBSCRIBED
from bluetick.v1.event_pb2 import Event

# By language; case and accents make no difference. English: the keywords that US carriers oblige
# everybody to honour (CTIA Messaging Principles, 5.1.3), and the label of WhatsApp's button. Words
# that are as often a plain answer ("red", "alto") are left out.
STOP_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "en": ("stop", "stop all", "stopall", "unsubscribe", "unsub", "optout", "opt out", "revoke",
           "remove me", "stop marketing", "stop promotion", "stop promotions"),
    "ar": ("إيقاف", "ايقاف", "توقف", "إلغاء الاشتراك", "الغاء الاشتراك"),
    "bg": ("стоп",),
    "cs": ("zrušit odběr", "odhlásit"),
    "da": ("afmeld",),
    "de": ("stopp", "abmelden", "abbestellen", "werbung stoppen"),
    "el": ("διακοπή", "στοπ"),
    "es": ("baja", "dar de baja", "darme de baja", "detener", "no molestar", "detener promociones",
           "cancelar suscripción"),
    "fi": ("lopeta", "peru tilaus"),
    "fr": ("arrêt", "arrêter", "désabonner", "désabonnement", "désinscrire", "se désabonner",
           "arrêter les promotions"),
    "he": ("הסר", "הסירו", "עצור"),
    "hi": ("रोकें", "बंद करें", "band karo"),
    "hr": ("odjava",),
    "hu": ("leiratkozás", "leiratkozom"),
    "id": ("berhenti", "berhenti langganan", "unreg", "hentikan promosi"),
    "it": ("disiscrivi", "disiscrivimi", "cancellami", "annulla iscrizione"),
    "ja": ("停止", "配信停止", "配信解除"),
    "ko": ("수신거부", "수신 거부"),
    "ms": ("batal langganan",),
    "nb": ("avmeld", "stans"),
    "nl": ("afmelden", "uitschrijven"),
    "pl": ("wypisz", "wypisz mnie", "rezygnuję"),
    "pt": ("pare", "sair", "descadastrar", "cancelar inscrição", "parar promoções",
           "interromper promoções"),
    "ro": ("dezabonare", "dezabonez"),
    "ru": ("отписаться", "отписка", "отпишите"),
    "sk": ("odhlásiť",),
    "sv": ("avsluta", "avregistrera"),
    "th": ("ยกเลิกรับข่าวสาร",),
    "tr": ("durdur", "ret", "abonelikten çık"),
    "uk": ("відписатися", "відписка"),
    "vi": ("hủy đăng ký", "huy dang ky"),
    "zh": ("退订", "退訂", "取消订阅", "取消訂閱", "td"),
}  # fmt: skip

# Carriers oblige to honour these, too, but on a button they end an order or a booking.
TYPED_STOP_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "en": ("cancel", "end", "quit"),
    "es": ("cancelar", "parar"),
    "it": ("annulla",),
    "pt": ("cancelar", "parar"),
    "tr": ("iptal",),
}

# Consent that was not given weighs more than one that was missed: few words, and none on a button.
# "Yes" is not among them, although a carrier may take it for one: it is the commonest answer.
START_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "en": ("start", "unstop", "subscribe", "resubscribe", "optin", "opt in", "resume promotions"),
    "es": ("alta", "suscribirme"),
    "fr": ("s'abonner",),
    "it": ("iscrivimi",),
    "ru": ("старт", "подписаться"),
    "tr": ("abone ol",),
}

_TEXT_CHARACTERS_MAX: Final = 64
_AROUND: Final = " .,;:!?¡¿'\"`«»“”‘’()[]*_-#/،。！？"


def consent_of(text: str, *, is_tap: bool = False) -> int | None:
    """Return ``EVENT_KIND_UNSUBSCRIBED`` or ``..._RESUBSCRIBED`` if ``text`` is such a choice.

    Args:
        text: all that the person wrote, or the label or payload of the button they tapped.
        is_tap: it is a button's. "Cancel" ends an order there, and "Start" begins a game.
    """
    if len(text) > _TEXT_CHARACTERS_MAX:
        return None
    folded = _folded(text)
    if folded in _STOP or (not is_tap and folded in _TYPED_STOP):
        return EVENT_KIND_UNSUBSCRIBED
    return EVENT_KIND_RESUBSCRIBED if folded in _START and not is_tap else None


def consent_event_of(reply: Event, kind: int) -> Event:
    """Return the consent event of ``kind`` that the inbound message ``reply`` is besides a reply.

    It is of the same moment, person and message; its fact is the inbound message's, plus a suffix.
    """
    event = Event()
    event.CopyFrom(reply)
    event.kind = kind  # type: ignore[assignment]
    engagement = event.engagement
    suffix = "stop" if kind == EVENT_KIND_UNSUBSCRIBED else "start"
    engagement.fact_id = f"{reply.engagement.fact_id}/{suffix}"
    # The tap itself is counted by the reply.
    engagement.is_tap = False
    return event


def _folded(text: str) -> str:
    """Return ``text`` without case, accents, and marks around it; what stays is compared only."""
    bare = unicodedata.normalize("NFKD", text.casefold())
    # Turkish has an "i" without a dot, whose capital is everybody's "I".
    plain = "".join(mark for mark in bare if not unicodedata.combining(mark)).replace("ı", "i")
    return " ".join(plain.strip(_AROUND).replace("_", " ").replace("-", " ").split())


def _all(words: dict[str, tuple[str, ...]]) -> frozenset[str]:
    return frozenset(_folded(word) for language in words.values() for word in language)


_STOP: Final = _all(STOP_WORDS)
_TYPED_STOP: Final = _all(TYPED_STOP_WORDS)
_START: Final = _all(START_WORDS)
