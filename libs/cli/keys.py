"""``bluetick keys``: API keys of a tenant, issued and revoked without a restart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from bluetick.v1 import admin_service_pb2 as pb
from bluetick.v1 import common_pb2
from bluetick.v1.admin_service_pb2_grpc import AdminServiceStub
from rich.console import Console

from libs.cli.accounts_view import keys_table
from libs.cli.gateway_channel import DEFAULT_GATEWAY, GatewayCaller
from libs.cli.plain_terminal import tolerate_plain_terminals

keys = typer.Typer(no_args_is_help=True, help="List, make and revoke API keys.")

_PAGE = 500
_ROLES = ("reader", "sender", "admin")
_Gateway = Annotated[str, typer.Option(envvar="BLUETICK_GATEWAY", help="Gateway, host:port.")]
_ApiKey = Annotated[str, typer.Option(envvar="BLUETICK_API_KEY", help="API key, ADMIN.")]


@keys.command("list")
def list_keys(gateway: _Gateway = DEFAULT_GATEWAY, api_key: _ApiKey = "") -> None:
    """Show the keys that were made by call; a key itself is never shown again."""
    caller = GatewayCaller(gateway, api_key)
    stub = AdminServiceStub(caller.channel)
    found: list[pb.ApiKey] = []
    token = ""
    while True:
        request = pb.ListApiKeysRequest(page_size=_PAGE, page_token=token)
        page = caller.call(stub.ListApiKeys, request)
        found += page.api_keys
        token = page.next_page_token
        if not token:
            break
    tolerate_plain_terminals()
    Console().print(keys_table(found))


@keys.command("create")
def create(
    role: Annotated[str, typer.Argument(help="reader, sender or admin.")],
    title: Annotated[str, typer.Option(help="A name for people.")] = "",
    days: Annotated[
        float | None, typer.Option(help="Days after which it ends; else it does not.")
    ] = None,
    gateway: _Gateway = DEFAULT_GATEWAY,
    api_key: _ApiKey = "",
) -> None:
    """Make a key and print it, once: only its hash is kept."""
    if role.lower() not in _ROLES:
        typer.echo(f"{role}: one of {', '.join(_ROLES)}.", err=True)
        raise typer.Exit(2)
    request = pb.CreateApiKeyRequest(
        role=common_pb2.Role.Value(f"ROLE_{role.upper()}"), title=title
    )
    if days is not None:
        request.expire_time.FromDatetime(datetime.now(UTC) + timedelta(days=days))
    caller = GatewayCaller(gateway, api_key)
    made = caller.call(AdminServiceStub(caller.channel).CreateApiKey, request)
    typer.echo(f"id {made.key_id}; this is the key, and it is not shown again:", err=True)
    typer.echo(made.api_key)


@keys.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(help="Identity, as `list` shows it.")],
    gateway: _Gateway = DEFAULT_GATEWAY,
    api_key: _ApiKey = "",
) -> None:
    """End a key; gateways refuse it within a second or two."""
    caller = GatewayCaller(gateway, api_key)
    request = pb.RevokeApiKeyRequest(key_id=key_id)
    caller.call(AdminServiceStub(caller.channel).RevokeApiKey, request)
    typer.echo(f"{key_id} is revoked.")
