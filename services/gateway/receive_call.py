"""What every call passes before it is forwarded, and what is written down when it has ended."""

import time
from typing import Any

from libs.runtime import logs, metrics
from libs.runtime.rpc_drain import Drain
from services.gateway.admit_call import Credentials, Gatekeeper, Metadata, RequestIds
from services.gateway.answer_error import LimitReached, answer_to
from services.gateway.domain.budgets import Budget
from services.gateway.domain.routes import Route

_log = logs.get_logger()

_seconds = metrics.histogram(
    "gateway_call_duration_seconds", "Time to answer a call, streams to their end", ("rpc", "code")
)
_refusals = metrics.counter(
    "gateway_limit_refusals_total", "Calls and streams refused by a limit", ("limit",)
)


class Call:
    """The books of one call: opened first, closed last, whatever happens between."""

    __slots__ = ("began", "code", "credentials", "request_id", "tenant_id")

    def __init__(self, context: Any, request_ids: RequestIds) -> None:
        self.began = time.perf_counter()
        # What it stays if neither an answer nor an error comes.
        self.code = "CANCELLED"
        self.credentials = Credentials.read(context.invocation_metadata())
        self.request_id = self.credentials.request_id or request_ids.next()
        self.tenant_id = ""  # whose budget holds a place for it; empty: none


class Reception:
    """The way in and out of the calls of one RPC: who is calling, may they, is there room."""

    def __init__(
        self,
        route: Route,
        *,
        gatekeeper: Gatekeeper,
        budget: Budget,
        drain: Drain,
        request_ids: RequestIds,
    ) -> None:
        self.route = route
        self.drain = drain
        self._gatekeeper = gatekeeper
        self._budget = budget
        self._request_ids = request_ids
        self._rpc = route.path.rpartition(".")[2]
        self._ok_seconds = _seconds.labels(self._rpc, "OK")

    def begin(self, context: Any) -> Call:
        """Open the books of a call. What follows ends with ``end``."""
        return Call(context, self._request_ids)

    async def admit(self, call: Call, context: Any) -> Metadata:
        """Return the metadata for the owning service, with a place taken in the budget.

        Raises:
            Unauthenticated, PermissionDenied, Unavailable: as ``Gatekeeper.admit``.
            LimitReached: no room for this tenant, or for anybody.
        """
        await self.drain.enter()
        # Only a caller's own id is echoed: a message of its own costs a sixth of a call's time.
        if call.credentials.request_id:
            await context.send_initial_metadata((("x-request-id", call.request_id),))
        key = await self._gatekeeper.admit(self.route, call.credentials.key)
        self._take_place(call, key.tenant_id)
        return self._gatekeeper.metadata(key, call.request_id)

    def _take_place(self, call: Call, tenant_id: str) -> None:
        limit = self._budget.take(tenant_id)
        if limit is None:
            call.tenant_id = tenant_id
            return
        limits = self._budget.limits
        _refusals.labels(limit.reason).inc()
        whose = "of your tenant" if limit is limits.tenant else "of this gateway"
        raise LimitReached(
            f"All {limit.value} {limits.kind} {whose} are in use; end some, or come back later.",
            reason=limit.reason,
            metadata={"limit": str(limit.value), "setting": limit.setting},
            retry_s=limits.retry_s,
        )

    async def fail(self, context: Any, error: Exception, call: Call) -> None:
        """Tell the caller why; does not return. A caller's own cancellation never comes here."""
        answer = answer_to(error, self.route, call.request_id)
        call.code = answer.code.name
        await context.abort(answer.code, answer.text, answer.trailing_metadata)

    def end(self, call: Call) -> None:
        """Close the books."""
        if call.tenant_id:
            self._budget.give_back(call.tenant_id)
        self.drain.leave()
        duration_s = time.perf_counter() - call.began
        if call.code == "OK":
            self._ok_seconds.observe(duration_s)
        else:
            _seconds.labels(self._rpc, call.code).observe(duration_s)
        _log.debug(
            "call.answered",
            rpc=self._rpc,
            code=call.code,
            request_id=call.request_id,
            duration_ms=round(duration_s * 1000, 3),
        )
