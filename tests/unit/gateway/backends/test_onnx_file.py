"""What an ONNX file says of itself, on real files and on everything else."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.backends.onnx_file import Head, read_head
from gateway.errors import ConfigError
from tests.support import onnx_models, text_models
from tests.support.model_folders import external

LINEAR = onnx_models.linear()


def told(data: bytes) -> str:
    with pytest.raises(ConfigError) as error:
        read_head(data, "m.onnx")
    return str(error.value)


def test_a_real_models_head_is_read() -> None:
    model = Path(__file__).parents[4] / "configs" / "demo" / "classic" / "churn" / "model.onnx"
    found = read_head(model.read_bytes(), "churn")
    assert found == Head(8, {"ai.onnx": 16, "ai.onnx.ml": 1}, "skl2onnx 1.20.0", (), ("plan",))
    assert read_head(LINEAR, "linear").opsets == {"ai.onnx": 17}


def test_the_files_that_hold_weights_are_named_once() -> None:
    assert read_head(external("b.data", "sub/a.data", "b.data"), "m").external == ("b.data", "sub/a.data")


@pytest.mark.parametrize("place", ["../secret", "/etc/passwd", "a/../../b", "..\\x", ""])
def test_a_file_outside_of_its_folder_is_refused(place: str) -> None:
    assert "outside its folder" in told(external(place))


def test_a_file_cut_anywhere_is_told_to_be_cut() -> None:
    for size in range(1, len(LINEAR)):
        assert "this file is cut" in told(LINEAR[:size]), size
    assert told(LINEAR[:-200]).endswith(
        "this file is cut: 194 bytes or more are missing"
    )  # the opset stands at the end


@given(st.binary(max_size=300))
def test_any_other_bytes_are_refused_or_are_a_head(data: bytes) -> None:
    with contextlib.suppress(ConfigError):
        assert isinstance(read_head(data, "m"), Head)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "this is no ONNX file, it is empty"),
        (b"hello, I am a text\n" * 10, "this is no ONNX file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a pointer of Git LFS"),
        (b"\x80\x04\x95" + bytes(50), "a pickle, which is never loaded"),
        (b"PK\x03\x04" + bytes(50), "a zip archive (or a PyTorch file)"),
    ],
)
def test_what_is_mistaken_for_a_model_is_named(data: bytes, message: str) -> None:
    assert message in told(data)


def test_inputs_and_outputs_of_text_are_named() -> None:
    assert read_head(text_models.classifier(), "m").texts == ("text",)
    assert read_head(onnx_models.columns(), "m").texts == ("plan", "plan_out")
    assert read_head(onnx_models.linear(), "m").texts == ()
