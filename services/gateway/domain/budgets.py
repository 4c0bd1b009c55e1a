"""How many calls and streams may run at once, in all and of one tenant."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One bound, with the name under which an operator moves it."""

    value: int
    setting: str  # environment variable
    reason: str  # stable word for callers


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetLimits:
    """The bounds of one kind of call."""

    kind: str  # "calls" or "streams", for texts
    total: Limit
    tenant: Limit
    retry_s: float  # when to come back if one is reached


class Budget:
    """Counts what runs of one kind. One tenant's share never is the whole."""

    def __init__(self, limits: BudgetLimits) -> None:
        self.limits = limits
        self.taken = 0
        self._by_tenant: dict[str, int] = {}  # only tenants with something running

    def take(self, tenant_id: str) -> Limit | None:
        """Take one place; return None, or the limit that is reached and takes no more."""
        own = self._by_tenant.get(tenant_id, 0)
        if own >= self.limits.tenant.value:
            return self.limits.tenant
        if self.taken >= self.limits.total.value:
            return self.limits.total
        self.taken += 1
        self._by_tenant[tenant_id] = own + 1
        return None

    def give_back(self, tenant_id: str) -> None:
        """Give back one place that was taken."""
        self.taken -= 1
        left = self._by_tenant[tenant_id] - 1
        if left:
            self._by_tenant[tenant_id] = left
        else:
            del self._by_tenant[tenant_id]
