"""Who is calling: told by the gateway, never by the payload."""

from dataclasses import dataclass
from typing import Any

from libs.runtime.api_keys import Role
from libs.runtime.rpc_errors import PermissionDenied, Unauthenticated

TENANT = "x-bluetick-tenant"
ROLE = "x-bluetick-role"
REQUEST_ID = "x-bluetick-request-id"
# Seconds after which the gateway ends a stream; the service ends it before, with its last words.
STREAM_LIFE = "x-bluetick-stream-life-s"
INTERNAL_TOKEN = "x-bluetick-internal-token"  # noqa: S105 a header's name


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller of one RPC."""

    tenant_id: str
    role: Role
    request_id: str
    stream_life_s: float | None = None  # None: nobody says

    def require(self, role: Role) -> None:
        """Raise PermissionDenied unless the caller has ``role`` or more."""
        if not self.role.may(role):
            raise PermissionDenied(
                f"This call needs the role {role.name}; the key has {self.role.name}.",
                metadata={"required_role": role.name, "role": self.role.name},
            )


def caller(context: Any) -> Caller:
    """Return who is calling, from the metadata that the gateway set.

    Raises:
        Unauthenticated: the call did not come through the gateway.
    """
    metadata = dict(context.invocation_metadata() or ())
    tenant_id, role = metadata.get(TENANT), metadata.get(ROLE)
    if role is None or role not in Role.__members__:
        raise Unauthenticated("Call through the gateway, with an API key.")
    # An operator is of no tenant, and nobody else is of none.
    if bool(tenant_id) is (Role[role] is Role.OPERATOR):
        raise Unauthenticated("Call through the gateway, with an API key.")
    life = metadata.get(STREAM_LIFE)
    return Caller(
        tenant_id or "",
        Role[role],
        metadata.get(REQUEST_ID, ""),
        float(life) if life is not None else None,
    )
