from libs.runtime.migrate import env_main
from services.analytics.adapters.tables import SCHEMA, metadata

env_main(SCHEMA, metadata)
