"""Which message stands for a sender's reference: exactly one, in whichever order they come.

A record may first be queued or dropped (keyed by the reference itself) and later accepted (keyed by
the provider's id); then only the accepted one counts.
"""


def claim(ref_key: bytes, message_key: bytes) -> tuple[bool, bytes]:
    """Return the strength of a message's claim to a reference; the smaller one wins.

    A message with a provider's id beats the one that was never handed over. Two with ids
    contradict each other (a reference is unique): the smaller key wins, so that replicas agree.
    """
    return (message_key == ref_key, message_key)


def stand(ref_key: bytes, standing: bytes, claimants: set[bytes]) -> tuple[bytes, set[bytes]]:
    """Decide who stands for a reference.

    Args:
        ref_key: key of the reference.
        standing: key of the message that stands for it now; empty: none.
        claimants: keys of the messages whose records name it.

    Returns:
        The key of the message that stands from now on (empty: still none), and the keys of all
        that do not.
    """
    everyone = claimants | {standing} if standing else claimants
    if not everyone:
        return b"", set()
    winner = min(everyone, key=lambda key: claim(ref_key, key))
    return winner, everyone - {winner}
