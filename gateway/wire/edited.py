"""By endpoint: how the texts of its requests and answers are found, and said again with other words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from gateway.wire.call import Call
from gateway.wire.chat_answer import ChatAnswer
from gateway.wire.chat_editor import ChatEditor
from gateway.wire.completions_answer import CompletionsAnswer
from gateway.wire.completions_editor import CompletionsEditor
from gateway.wire.edits import Answer, Editor, Opening, Texts
from gateway.wire.form_texts import FormTexts
from gateway.wire.messages import editor as messages_editor
from gateway.wire.messages.answer_texts import MessageTexts
from gateway.wire.request_texts import RequestTexts
from gateway.wire.responses import editor as responses_editor
from gateway.wire.responses.answer_texts import ResponseTexts
from gateway.wire.transcription_texts import TranscriptionTexts

REQUESTS: Final[Mapping[str, Callable[[Call], Texts]]] = {
    "chat": RequestTexts,
    "completions": RequestTexts,
    "messages": RequestTexts,
    "messages_count": RequestTexts,
    "responses": RequestTexts,
    "embeddings": RequestTexts,
    "rerank": RequestTexts,
    "score": RequestTexts,
    "transcriptions": FormTexts,
}
"""Each raises InvalidRequest for what cannot be read."""

ANSWERS: Final[Mapping[str, Callable[[bytes], Answer]]] = {
    "chat": ChatAnswer,
    "completions": CompletionsAnswer,
    "messages": MessageTexts,
    "responses": ResponseTexts,
    "transcriptions": TranscriptionTexts,
}
"""Each raises UpstreamProtocol for what is no answer of its format."""

STREAMS: Final[Mapping[str, Callable[[Call, Opening], Editor]]] = {
    "chat": ChatEditor,
    "completions": CompletionsEditor,
    "messages": messages_editor.of,
    "responses": responses_editor.of,
}
