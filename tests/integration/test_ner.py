"""Names and identifiers by Presidio's analyzer and spaCy's model (the extra `pii`)."""

import asyncio
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from gateway.offload.client import CheckClient
from gateway.runtime.state_dir import checks_socket
from guardrails.check import Need
from guardrails.checks.identifiers import COUNTRIES, IDENTIFIERS
from guardrails.checks.pii import ENTITIES
from guardrails.ner import WEIGHTS
from guardrails.presidio import load_recogniser
from guardrails.screen import Screen
from guardrails.settings import chain_of
from guardrails.verdict import Phase
from tests.support.gateway_process import minimal, serving
from tests.support.running import run

pytestmark = [
    pytest.mark.ner,
    pytest.mark.skipif(
        not any(map(find_spec, WEIGHTS)) or not find_spec("presidio_analyzer"),
        reason="Presidio's analyzer and spaCy's English weights are not installed",
    ),
    # They come with what Presidio imports, and are its own affair.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

NAMES = ["LOCATION", "ORGANIZATION", "PERSON"]
TEXT = "My name is Ada Lovelace, I live in London, and my mail is ada@example.org. My brother is John Smith."
IDENTIFIED = [
    ("AU_TFN", "my tax file number is ", "876543210"),
    ("DE_TAX_ID", "Steuer-IdNr. ", "86095742719"),
    ("ES_NIF", "mi NIF es ", "54362315K"),
    ("IN_PAN", "my PAN is ", "ABCPD1234Z"),
    ("IT_FISCAL_CODE", "codice fiscale ", "RSSMRA85T10A562S"),
    ("SG_NRIC_FIN", "her NRIC: ", "S1234567D"),
    ("UK_NHS", "NHS number ", "401 023 2137"),
]


@pytest.mark.parametrize("size", [1, 11, 1_000])
def test_names_are_masked_beside_what_has_a_form_however_a_text_comes(size: int) -> None:
    wanted = ["PERSON", "LOCATION", "EMAIL_ADDRESS"]
    chain = chain_of("mine", [{"check": "pii", "phase": "output", "action": "mask", "entities": wanted}])
    screen = Screen(chain.rows(Phase.OUTPUT))
    out = [screen.feed(TEXT[at : at + size]) for at in range(0, len(TEXT), size)]
    out.append(screen.finish())
    for call in screen.calls():
        found = load_recogniser(call.need.name.split(","))(call.need.text)
        out += [screen.answer(call, found)]
    assert (
        "".join(out)
        == "My name is [PERSON], I live in [LOCATION], and my mail is [EMAIL_ADDRESS]. My brother is [PERSON]."
    )
    assert not screen.verdict().failures


def test_names_have_presidios_names_and_what_identifiers_are_called_is_none() -> None:
    found = load_recogniser([*NAMES, "NRP"])(
        "Ada Lovelace of the Microsoft Corporation gave her IBAN to Italians in Rome."
    )
    assert [(entity, score) for _, _, entity, score in found] == [
        *(("PERSON", 0.85), ("ORGANIZATION", 0.425), ("NRP", 0.85), ("LOCATION", 0.85))
    ]


@pytest.mark.timeout(300)  # the process imports Presidio, and has stepped back
def test_the_check_process_answers_what_is_asked_together_as_each_alone(tmp_path: Path) -> None:
    wanted = [*NAMES, "UK_NHS"]
    chain = [{"check": "pii", "phase": "input", "action": "mask", "entities": wanted}]
    texts = [TEXT, "NHS number 401 023 2137, says Bob Dylan.", "", "Ada \ud800 Lovelace of Paris", TEXT[::-1]]
    with serving(tmp_path, minimal(chains={"standard": chain})) as gateway:
        gateway.until_event("checks_loaded")  # on a busy machine some time after the gateway serves
        told = run(_told(checks_socket(gateway.state_dir), texts, ",".join(sorted(wanted))))
    read = load_recogniser(wanted)
    assert told == [([list(found) for found in read(text)], "") for text in texts]
    assert {"UK_NHS", "PERSON"} <= {entity for _, _, entity, _ in read(texts[1])}


async def _told(socket: Path, texts: list[str], name: str) -> list[tuple[object, str]]:
    """What a worker is told that asks of all texts at once."""
    client = CheckClient(socket)
    loop = asyncio.get_running_loop()
    answers: list[asyncio.Future[tuple[object, str]]] = [loop.create_future() for _ in texts]
    for text, answer in zip(texts, answers, strict=True):
        client.ask(Need("entities", name, text, 0), 60_000, lambda *told, answer=answer: answer.set_result(told))
    try:
        return [await answer for answer in answers]
    finally:
        client.close()


def test_places_are_those_of_the_text_as_it_came() -> None:
    assert (11, 25, "PERSON", 0.85) in load_recogniser(NAMES)("My name is A\u200bda Lovel\u200bace \ud800.")


def test_texts_that_are_odd_are_read_alone_and_together() -> None:
    read = load_recogniser([*NAMES, "UK_NHS"])
    texts = ["", " ", "\ud800", "\u200b" * 50, "x" * 20_000, "Ada\x00Lovelace", TEXT]
    alone = [read(text) for text in texts]
    assert read.all(texts) == alone
    for text, found in zip(texts, alone, strict=True):
        assert all(0 <= start < end <= len(text) for start, end, *_ in found)


@pytest.mark.parametrize(("entity", "before", "value"), IDENTIFIED)
def test_identifiers_of_countries_are_found_by_presidios_recognisers(entity: str, before: str, value: str) -> None:
    [found] = load_recogniser([entity])(f"{before}{value}.")
    assert found[:3] == (len(before), len(before) + len(value), entity)
    assert found[3] >= 0.4


def test_the_recognisers_are_all_that_presidio_has_but_for_those_of_ours() -> None:
    presidio = import_module("presidio_analyzer")
    made = {}
    for name in dir(presidio.predefined_recognizers):
        each = getattr(presidio.predefined_recognizers, name)
        if isinstance(each, type) and each in _below(presidio.PatternRecognizer):
            [entity] = each(supported_language="en").supported_entities
            made[entity] = name
    assert {entity: name for entity, name in made.items() if entity not in ENTITIES} == IDENTIFIERS
    assert "UK_NHS" in COUNTRIES["United Kingdom"]


def _below(kind: type) -> set[type]:
    children: list[type] = kind.__subclasses__()
    return {each for child in children for each in (child, *_below(child))}


def test_no_recogniser_takes_long_over_any_segment() -> None:
    """Presidio's patterns are matched by a backtracking engine: what it is shown has 600 characters at most."""
    read = load_recogniser(IDENTIFIERS)
    parts = ["1", "A", "1A", "A1", "1-", "1 ", "1.", "A ", "a.", "12/", "AB 12-", "RX: ", "-"]
    for part in parts:
        read((part * 600)[:600])  # a pattern that exploded would not come back before the test's time is over


def test_nothing_is_fetched() -> None:
    program = (
        "import sys\n"
        "def watch(event, args):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo', 'socket.gethostbyname', 'socket.sendto'):\n"
        "        raise SystemExit(f'{event} was called')\n"
        "sys.addaudithook(watch)\n"
        "from guardrails.checks.identifiers import IDENTIFIERS\n"
        "from guardrails.presidio import load_recogniser\n"
        "found = load_recogniser(['PERSON', *IDENTIFIERS])('I am Ada Lovelace, mail ada@example.org')\n"
        "import tldextract\n"
        "assert tldextract.extract('ada@example.co.uk').suffix == 'co.uk'\n"
        "assert any(entity == 'PERSON' for _, _, entity, _ in found), found\n"
    )
    ended = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, timeout=110)
    assert ended.returncode == 0, ended.stderr
