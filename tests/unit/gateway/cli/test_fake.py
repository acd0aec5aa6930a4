from __future__ import annotations

import pytest
from click.testing import CliRunner

from gateway.cli import main


def test_help_lists_the_options_of_the_server_itself() -> None:
    result = CliRunner().invoke(main, ["fake", "--help"])
    assert result.exit_code == 0
    assert "--token-delay-ms" in result.output
    assert "--socket" in result.output


@pytest.mark.parametrize("arguments", [["--unknown"], ["--port", "often"]])
def test_an_option_that_does_not_exist_is_an_error(arguments: list[str]) -> None:
    assert CliRunner().invoke(main, ["fake", *arguments]).exit_code == 2
