"""Settings tell all problems at once; logs tell no secrets."""

import subprocess
import sys

import msgspec

from libs.runtime.settings import RuntimeSettings


def test_all_problems_are_told_at_once_by_the_name_of_the_variable() -> None:
    """An operator should not have to restart once per typing error."""
    script = "from libs.runtime.settings import *; load(RuntimeSettings)"
    ended = subprocess.run(
        [sys.executable, "-c", script],
        env={"BLUETICK_SHUTDOWN_S": "-1", "BLUETICK_DATABASE_POOL_SIZE": "many"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 2
    assert "BLUETICK_SHUTDOWN_S" in ended.stderr
    assert "BLUETICK_DATABASE_POOL_SIZE" in ended.stderr
    assert "many" not in ended.stderr


def test_every_setting_says_what_it_is() -> None:
    """The operator's table is made from these."""
    assert all(field.description for field in RuntimeSettings.model_fields.values())


def test_a_phone_number_that_slipped_into_a_field_is_hidden() -> None:
    """Logs go to places that must not hold personal data."""
    script = (
        "from libs.runtime import logs, settings;"
        "logs.configure('test', settings.RuntimeSettings());"
        "logs.get_logger().warning('test.happened', why='no route to +4917012345678 today')"
    )

    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)

    line = msgspec.json.decode(ended.stderr)
    assert line["why"] == "no route to +… today"
    assert (line["event"], line["level"], line["service"]) == ("test.happened", "warning", "test")
