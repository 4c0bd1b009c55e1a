"""Messages made from events without a store, in one go or one event after the other."""

from bluetick.v1.event_pb2 import Event

from libs.testkit import builders
from services.status.domain.acts import Act, add_act, recount, standing
from services.status.domain.advancing import advance
from services.status.domain.gather import gather
from services.status.domain.message import Message


def merged(*events: Event) -> Message:
    """Merge the events of one message, counting the acts that stand, as the transaction does."""
    gathered = gather([builders.a_batch(*events)])
    message = Message()
    for tellings in gathered.told.values():
        for telling in tellings:
            advance(message, telling)
    for act in gathered.acts.values():
        add_act(message, act)
    return message


def merged_one_by_one(*events: Event) -> Message:
    """Merge one event after the other, counting anew each time."""
    message, known = Message(), dict[str, Act]()
    for event in events:
        gathered = gather([builders.a_batch(event)])
        for tellings in gathered.told.values():
            advance(message, tellings[0])
        for act in gathered.acts.values():
            known[act.act_id] = standing(known.get(act.act_id), act)
        recount(message, known.values())
    return message
