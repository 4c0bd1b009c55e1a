"""Alembic's entry: the migrations of schema ``status``."""

from libs.runtime.migrate import env_main
from services.status.adapters.tables import SCHEMA, metadata

env_main(SCHEMA, metadata)
