"""What ``bluetick accounts`` and ``bluetick keys`` show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from bluetick.v1 import admin_service_pb2 as pb
from bluetick.v1 import common_pb2
from rich import box
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text


def accounts_table(accounts: Sequence[pb.ProviderAccount]) -> RenderableType:
    """All accounts, one a row."""
    if not accounts:
        return Text("No account yet: `bluetick accounts put` makes one.", style="yellow")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("account", "from", "secrets", "options", "limits", "state"):
        table.add_column(name, no_wrap=name == "account")
    for one in accounts:
        table.add_row(
            escape(f"{one.provider}/{one.account}"),
            "file" if one.origin == pb.ACCOUNT_ORIGIN_FILE else "call",
            escape(_secrets(one)) or "[yellow]none[/]",
            escape(", ".join(f"{name}={value}" for name, value in sorted(one.options.items()))),
            _limits(one.limits),
            _state(one),
        )
    return table


def account_lines(account: pb.ProviderAccount) -> Iterator[str]:
    """One account, in lines for people and scripts."""
    yield f"{account.provider}/{account.account}: {_state(account)}"
    for secret in account.secrets:
        yield f"  {secret.name} {secret.key_id}{_until(secret)}"
    if not account.secrets:
        yield "  no secret"


def keys_table(keys: Sequence[pb.ApiKey]) -> RenderableType:
    """All keys that were issued by call, one a row."""
    if not keys:
        return Text("No key was issued by call; those of the keys file are not shown.")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("id", "role", "title", "made", "ends"):
        table.add_column(name, no_wrap=name != "title")
    for key in keys:
        table.add_row(
            key.key_id,
            common_pb2.Role.Name(key.role).removeprefix("ROLE_"),
            escape(key.title),
            _time(key.create_time.ToDatetime()),
            _time(key.expire_time.ToDatetime()) if key.HasField("expire_time") else "–",
        )
    return table


def _secrets(account: pb.ProviderAccount) -> str:
    return ", ".join(f"{one.name} {one.key_id}{_until(one)}" for one in account.secrets)


def _until(secret: pb.AccountSecretName) -> str:
    if not secret.HasField("expire_time"):
        return ""
    return f" (until {_time(secret.expire_time.ToDatetime())})"


def _limits(limits: pb.AccountLimits) -> str:
    told = []
    if limits.requests_per_second:
        told.append(f"{limits.requests_per_second:g}/s")
    if limits.body_bytes_max:
        told.append(f"{limits.body_bytes_max:,} B")
    return ", ".join(told)


def _state(account: pb.ProviderAccount) -> str:
    if account.is_disabled:
        return "disabled"
    return "sealed" if account.is_sealed else "open"


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S}"
