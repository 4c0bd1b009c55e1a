"""Finds the message at fault by halving, level by level, so that neighbours pass early."""

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from libs.runtime import logs
from libs.runtime.delivery import Delivery, Refused
from libs.runtime.suspects import Suspects
from libs.runtime.verdicts import Verdict, verdict_of, word_of

_log = logs.get_logger()

# Parts of one batch that crash before one passes; then it is no single message.
_CRASHES_MAX = 16

Try = Callable[[list[Delivery]], Awaitable[Exception | None]]


class Stopped(Exception):
    """A fault of ours showed itself on the way; ``rest`` is not done."""

    def __init__(self, error: Exception, rest: list[Delivery]) -> None:
        super().__init__(str(error))
        self.error = error
        self.rest = rest


@dataclass(slots=True)
class Outcome:
    """What was found; everything else of the batch is done and acknowledged."""

    set_aside: list[Refused] = field(default_factory=list)
    given_back: list[Delivery] = field(default_factory=list)
    delay_s: float = 0.0
    # The last crash of a message alone that is not proven to be that message's fault.
    crash: Exception | None = None


class Isolation:
    """Tries ever smaller parts of a batch."""

    def __init__(self, attempt: Try, suspects: Suspects) -> None:
        """Build it; ``attempt`` handles and acknowledges a part, or returns why not."""
        self._try = attempt
        self._suspects = suspects

    async def isolate(self, batch: list[Delivery], error: Exception) -> Outcome:
        """Return what cannot be handled of ``batch``, which failed as a whole with ``error``.

        Raises:
            Stopped: it is no message's fault.
        """
        outcome = Outcome()
        if verdict_of(error) is Verdict.SINGLE_OUT and self._suspects.too_many:
            raise Stopped(error, batch)
        # Level by level: with one bad message of 64, half of them pass at the first step.
        failed: deque[tuple[list[Delivery], Exception]] = deque([(batch, error)])
        crashes, has_passed = 0, False
        while failed:
            part, error = failed.popleft()
            if len(part) == 1:
                self._judge(part[0], error, outcome)
                continue
            middle = len(part) // 2
            first, second = part[:middle], part[middle:]
            for half, untried in ((first, second), (second, [])):
                problem = await self._try(half)
                if problem is None:
                    has_passed = True
                    continue
                verdict = verdict_of(problem)
                crashes += verdict is Verdict.SINGLE_OUT
                failed.append((half, problem))
                if verdict is Verdict.STOP or (crashes >= _CRASHES_MAX and not has_passed):
                    raise Stopped(problem, self._rest(failed, outcome, untried))
        if outcome.crash is not None and self._suspects.nothing_passes():
            raise Stopped(outcome.crash, self._rest(failed, outcome, []))
        return outcome

    def _judge(self, delivery: Delivery, error: Exception, outcome: Outcome) -> None:
        verdict = verdict_of(error)
        if verdict is Verdict.SET_ASIDE:
            outcome.set_aside.append(Refused(delivery, word_of(error)))
            return
        if verdict is Verdict.SINGLE_OUT:
            seq = delivery.stream_seq
            _log.error("message.crashed", stream_seq=seq, exc_info=error)
            if self._suspects.crashed(delivery):
                outcome.set_aside.append(Refused(delivery, word_of(error)))
                return
            outcome.crash = error
        else:
            _log.warning("message.given_back", stream_seq=delivery.stream_seq, why=str(error))
            self._suspects.locked(delivery)
        outcome.given_back.append(delivery)
        outcome.delay_s = max(outcome.delay_s, self._suspects.delay_s(delivery))

    @staticmethod
    def _rest(
        failed: deque[tuple[list[Delivery], Exception]], outcome: Outcome, untried: list[Delivery]
    ) -> list[Delivery]:
        rest = [delivery for part, _ in failed for delivery in part]
        set_aside = [refused.delivery for refused in outcome.set_aside]
        return [*rest, *untried, *outcome.given_back, *set_aside]
