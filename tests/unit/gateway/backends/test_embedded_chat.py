from __future__ import annotations

import pytest

from gateway.backends.embedded_chat import main


def test_an_embedding_model_is_not_served_as_a_chat_model() -> None:
    with pytest.raises(SystemExit, match="not a chat model"):
        main(["--model", "minilm"])


def test_a_socket_must_have_the_ending_by_which_llama_cpp_knows_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--socket", "/run/x.socket"])
    assert "must end in .sock" in capsys.readouterr().err
