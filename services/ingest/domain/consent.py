"""Consent by side doors: the words by which people leave and come back, in many languages.

A whole text counts, and the first word of a short one ("Stop. Thank you", "STOP 36111"), behind
the account's own keyword too ("SHOP STOP"). "Please stop by tomorrow" is an answer: a word that is
taken for one where none was meant costs a subscriber, and one that is missed breaks the law.
"""

import re
import unicodedata
from collections.abc import Collection
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

# Of these only the whole text counts, or one with nothing behind it but this: "CANCEL my order"
# ends an order, "CANCEL 36111" and "QUIT please" end a subscription.
_BESIDE_TYPED: Final = frozenset(
    {
        "all", "bitte", "favor", "gracias", "grazie", "merci", "messages", "now", "obrigada",
        "obrigado", "per", "please", "plz", "pls", "por", "sms", "svp", "text", "texts", "thank",
        "thanks", "thx", "you",
    }
)  # fmt: skip
# A first word counts in a text of at most so many words.
SHORT_TEXT_WORDS_MAX: Final = 5
_TEXT_CHARACTERS_MAX: Final = 128
_AROUND: Final = " .,;:!?¡¿'\"`«»“”‘’()[]*_-#/،。！？"
# What ends a word beside a blank.
_BETWEEN: Final = re.compile(r"[\s.,;:!?¡¿\"“”«»()\[\]*#/،。！？、]+")


def consent_of(
    text: str, *, is_tap: bool = False, keywords: Collection[str] = frozenset()
) -> int | None:
    """Return ``EVENT_KIND_UNSUBSCRIBED`` or ``..._RESUBSCRIBED`` if ``text`` is such a choice.

    Args:
        text: all that the person wrote, or the label or payload of the button they tapped.
        is_tap: it is a button's, whose whole text must be one. "Cancel" ends an order there, and
            "Start" begins a game.
        keywords: the account's own, as ``keywords_of`` gives them: a shared number routes by them.
    """
    if len(text) > _TEXT_CHARACTERS_MAX:
        return None
    folded = _folded(text)
    kind = _choice_of(folded, is_tap=is_tap)
    first, _, rest = folded.partition(" ")
    if kind is None and rest and first.strip(_AROUND) in keywords:
        return _choice_of(rest.strip(_AROUND), is_tap=is_tap)
    return kind


def keywords_of(option: str) -> frozenset[str]:
    """Return the keywords of an account's option "SHOP, SALE" in the form that is compared."""
    return frozenset(filter(None, map(_folded, option.split(",")))) if option else frozenset()


def _choice_of(folded: str, *, is_tap: bool) -> int | None:
    if folded in _STOP or (not is_tap and folded in _TYPED_STOP):
        return EVENT_KIND_UNSUBSCRIBED
    if is_tap:
        return None
    if folded in _START:
        return EVENT_KIND_RESUBSCRIBED
    return EVENT_KIND_UNSUBSCRIBED if _begins_with_stop(folded) else None


def _begins_with_stop(folded: str) -> bool:
    words = [word for word in _BETWEEN.split(folded) if word]
    if not 1 < len(words) <= SHORT_TEXT_WORDS_MAX:
        return False
    begins = (" ".join(words[:count]) for count in range(1, len(words)))
    if any(begin in _STOP for begin in begins):
        return True
    return words[0] in _TYPED_STOP and all(
        word in _BESIDE_TYPED or word.isdecimal() for word in words[1:]
    )


def consent_event_of(reply: Event, kind: int, inbound_id: str) -> Event:
    """Return the consent event of ``kind`` that the inbound message ``reply`` is besides a reply.

    It is of the same moment, person and message; its act is the inbound message's, plus a suffix.
    """
    event = Event()
    event.CopyFrom(reply)
    event.kind = kind  # type: ignore[assignment]
    engagement = event.engagement
    suffix = "stop" if kind == EVENT_KIND_UNSUBSCRIBED else "start"
    engagement.act_id = f"{inbound_id}/{suffix}"
    # The tap itself is counted by the reply.
    engagement.is_tap = False
    # Whatever it answers, it is a choice.
    engagement.answers_nothing = ""
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
