"""What a body is read as, what is refused, and that untouched values keep their bytes."""

from __future__ import annotations

import json

import msgspec
import pytest

from gateway.errors import InvalidRequest
from gateway.wire import body

LARGE = b'"' + b"x" * 100_000 + b'"'


def refusal(text: bytes) -> str:
    with pytest.raises(InvalidRequest) as refused:
        body.fields(text)
    assert refused.value.status == 400
    return refused.value.message


def test_a_body_is_read_as_its_fields_in_order_with_the_bytes_of_each_value() -> None:
    found = body.fields(b' {"model" : "m", "messages":[ {"role":"user"} ] ,"x":-1.50e3}\n')
    assert {name: bytes(raw) for name, raw in found.items()} == {
        "model": b'"m"',
        "messages": b'[ {"role":"user"} ]',
        "x": b"-1.50e3",
    }
    assert list(found) == ["model", "messages", "x"]


@pytest.mark.parametrize("empty", [b"", b" ", b"\r\n\t "])
def test_an_empty_body_is_refused_as_empty(empty: bytes) -> None:
    assert refusal(empty) == "the body is empty; a JSON object is expected"


@pytest.mark.parametrize("other", [b"[]", b"null", b"1", b'"{}"', b"true", b'[{"model":"m"}]'])
def test_json_that_is_no_object_is_refused(other: bytes) -> None:
    assert refusal(other) == "the body must be a JSON object"


@pytest.mark.parametrize("cut", range(1, 44))
def test_a_body_truncated_anywhere_is_refused(cut: int) -> None:
    whole = b'{"model":"m","messages":[{"a":"\\u00e9"},1.5]}'
    assert len(whole) == 45
    assert "not valid JSON" in refusal(whole[:cut])


@pytest.mark.parametrize(
    "malformed",
    [
        b'{"a":1}x',
        b'{"a":1}{"a":1}',
        b'{"a":1}\0',
        b'{"a":1,}',
        b"{'a':1}",
        b"{a:1}",
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":01}',
        b'{"a":+1}',
        b'{"a":.5}',
        b'{"a":tru}',
        b'{"a":"\x01"}',
        b'{"a":"\n"}',
        b'{"a":"\\x"}',
        b'{"a":"\\ud800\\u0041"}',
        b'{"\\ud800x":1}',
        b'{"a" 1}',
        b'{"a":1 "b":2}',
        b'{"a":[1}',
        b'\xef\xbb\xbf{"a":1}',
        '{"a":1}'.encode("utf-16"),
        b'{"\xff":1}',
        b'{"\xc0\xaf":1}',
        b"model=m&messages=x",
        b'{"a":1} // no',
    ],
)
def test_what_is_not_quite_json_is_refused(malformed: bytes) -> None:
    assert "not valid JSON" in refusal(malformed)


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_deep_nesting_is_refused_and_does_not_crash(opening: bytes) -> None:
    closing = b"]" if opening == b"[" else b"}"
    deep = b'{"model":"m","messages":' + opening * 100_000 + b"1" + closing * 100_000 + b"}"
    assert refusal(deep) == "the body is nested too deeply"
    assert refusal(deep[:150_000]) == "the body is nested too deeply"


@pytest.mark.parametrize(
    ("twice", "name"),
    [
        (b'{"model":"a","model":"b"}', "model"),
        (b'{"model":"a","model":"a"}', "model"),
        (b'{"model": "a", "messages": [], "model": "b"}', "model"),
        (b'{"model":"a","messages":[],"m\\u006fdel":"b"}', "model"),
        (b'{"m\\u006Fdel":"a","messages":[],"model":"b"}', "model"),
        (b'{"x":1,"x":12}', "x"),
        (b'{"x":12,"x":1}', "x"),
        (b'{\n  "x": {"y": 1},\n  "x": {"y": 1}\n}', "x"),
        (b'{"":1,"":1}', ""),
        ('{"ключ":1,"ключ":2}'.encode(), "ключ"),
        ('{"ключ":1,"кл\\u044e\\u0447":2}'.encode(), "ключ"),
        (b'{"x":"a, \\"y\\": 1","y":2,"x":"b"}', "x"),
        (b'{"x":' + LARGE + b',"x":1}', "x"),
        (b'{"x":1,"x":' + LARGE + b"}", "x"),
        (b'{"x": ' + LARGE + b', "y": 1, "x": 1}', "x"),
    ],
)
def test_a_field_that_appears_twice_is_refused_by_name_however_it_is_spelled(twice: bytes, name: str) -> None:
    assert refusal(twice) == f"the field {name} appears more than once"


@pytest.mark.parametrize("indent", [None, 0, 2])
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (" , ", " : ")])
@pytest.mark.parametrize("text", ["short", "x" * 100_000, "éñ", '"quoted", "model": 1'])
def test_no_way_of_spacing_makes_a_good_body_look_repeated(
    indent: int | None, separators: tuple[str, str], text: str
) -> None:
    whole = {"model": "m", "messages": [{"model": text}], 'é\n"': text, "stream": None}
    for ascii_only in (True, False):
        sent = json.dumps(whole, indent=indent, separators=separators, ensure_ascii=ascii_only).encode()
        assert {name: json.loads(bytes(raw)) for name, raw in body.fields(sent).items()} == whole


def test_an_empty_object_has_no_fields() -> None:
    assert body.fields(b"{}") == body.fields(b" { } ") == {}


def test_a_message_never_shows_a_value_nor_a_long_name() -> None:
    secret = b"sk-very-secret"
    for text in (b'{"a":"' + secret, b'{"a":"' + secret + b'"', b'{"a":"' + secret + b'\x00"}'):
        assert secret.decode() not in refusal(text)
    name = "n" * 500
    assert refusal(json.dumps({name: 1}).replace("}", f', "{name}": 2}}').encode()).count("n") < 80
    assert "\x1b" not in refusal(b'{"\\u001b[31m":1,"\\u001b[31m":1}')


def test_a_denied_field_is_refused_by_name_and_others_pass() -> None:
    found = body.fields(b'{"model":"m","priority":-1}')
    body.deny(found, frozenset({"other"}))
    with pytest.raises(InvalidRequest, match="the field priority is not accepted") as refused:
        body.deny(found, frozenset({"other", "priority"}))
    assert refused.value.param == "priority"


def test_a_denied_field_is_found_however_its_name_is_spelled() -> None:
    with pytest.raises(InvalidRequest, match="priority"):
        body.deny(body.fields(b'{"pri\\u006frity":-1}'), frozenset({"priority"}))


def test_joining_replaces_in_place_adds_at_the_end_and_copies_the_rest() -> None:
    found = body.fields(b'{"model" : "m", "messages": [ 1,  2 ], "t": 1.0e0}')
    joined = body.join(found, {"model": b'"served"', "cache_salt": b'"s"'})
    assert joined == b'{"model":"served","messages":[ 1,  2 ],"t":1.0e0,"cache_salt":"s"}'


def test_joining_keeps_what_a_decoder_would_not() -> None:
    odd = b'{"a":1.00000000000000000001,"b":1E400,"c":-0,"d":"\\u0041\\/","e":{"x":1,"x":2},"f":"\xff"}'
    assert body.join(body.fields(odd), {}) == odd


def test_joining_does_not_change_the_fields_it_was_given() -> None:
    found = body.fields(b'{"model":"m"}')
    body.join(found, {"model": b'"x"', "y": b"1"})
    assert body.join(found, {}) == b'{"model":"m"}'


def raw_fields(**values: object) -> body.Fields:
    return body.fields(json.dumps(values).encode())


def test_a_required_text_must_be_a_string_with_something_in_it() -> None:
    assert body.required_text(raw_fields(model="é/m"), "model", 256) == "é/m"
    wrongs: list[dict[str, object]] = [{}, {"model": None}, {"model": ""}]
    for wrong in wrongs:
        with pytest.raises(InvalidRequest, match="model is required and must be a non-empty string") as refused:
            body.required_text(raw_fields(**wrong), "model", 256)
        assert refused.value.param == "model"
    for value in (5, ["m"], {"id": "m"}, True):
        with pytest.raises(InvalidRequest, match="model must be a string"):
            body.required_text(raw_fields(model=value), "model", 256)
    assert body.required_text(raw_fields(model="m" * 256), "model", 256) == "m" * 256
    with pytest.raises(InvalidRequest, match="model must have at most 256 characters"):
        body.required_text(raw_fields(model="m" * 257), "model", 256)


def test_a_text_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="model must be a string"):
        body.required_text(body.fields(b'{"model":"\xff"}'), "model", 256)


def test_a_flag_is_true_false_or_left_out() -> None:
    for value, flag in ((True, True), (False, False), (None, False)):
        assert body.flag(raw_fields(stream=value), "stream") is flag
    assert body.flag({}, "stream") is False
    wrongs: list[object] = [1, 0, "true", [], {}]
    for wrong in wrongs:
        with pytest.raises(InvalidRequest, match="stream must be true or false"):
            body.flag(raw_fields(stream=wrong), "stream")


def test_a_whole_number_has_a_least_and_a_most() -> None:
    assert body.whole_number(raw_fields(n=3), "n", 1) == 3
    assert body.whole_number(raw_fields(n=None), "n", 1) is None
    assert body.whole_number({}, "n", 1) is None
    for wrong in (0, -1, 2**31, 10**30):
        with pytest.raises(InvalidRequest, match="n must be"):
            body.whole_number(raw_fields(n=wrong), "n", 1)
    others: list[object] = ["3", 1.5, [], True]
    for other in others:
        with pytest.raises(InvalidRequest, match="n must be a whole number"):
            body.whole_number(raw_fields(n=other), "n", 1)


def test_members_of_an_object_are_read_like_the_body_and_refused_when_repeated() -> None:
    assert body.members(body.fields(b'{"o":{"a": [1 ]}}'), "o") == {"a": msgspec.Raw(b"[1 ]")}
    assert body.members(raw_fields(o=None), "o") == body.members({}, "o") == {}
    with pytest.raises(InvalidRequest, match="o must be an object"):
        body.members(raw_fields(o=[1]), "o")
    with pytest.raises(InvalidRequest, match=r"o\.a appears more than once"):
        body.members(body.fields(b'{"o":{"a":1,"a":2}}'), "o")


def test_what_must_be_present_may_not_be_null() -> None:
    assert body.present(raw_fields(prompt=""), "prompt") == msgspec.Raw(b'""')
    wrongs: list[dict[str, object]] = [{}, {"prompt": None}]
    for wrong in wrongs:
        with pytest.raises(InvalidRequest, match="prompt is required"):
            body.present(raw_fields(**wrong), "prompt")


def image(size: int) -> str:
    return "data:image/png;base64," + "A" * size


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_a_large_body_is_read_as_the_same_fields_as_a_small_one(separators: tuple[str, str]) -> None:
    whole = {
        "before": [1, {"x": "é"}],
        "messages": [{"url": image(50_000)}, {"text": 'say \\"hi\\" \\\\' * 2_000}, {"url": image(5_000)}],
        "model": "m",
        "text": image(9_000),
        "after": 1.5,
    }
    sent = json.dumps(whole, separators=separators).encode()
    found = body.fields(sent)
    assert {name: json.loads(bytes(raw)) for name, raw in found.items()} == whole
    assert list(found) == list(whole)
    assert body.text(found, "text", 10_000) == image(9_000)
    compact = json.dumps({**whole, "model": "served"}, separators=(",", ":")).encode()
    joined = body.join(found, {"model": b'"served"'})
    assert json.loads(joined) == json.loads(compact)


@pytest.mark.parametrize("damaged", [b"", b"}", b"]}x", b"]", b"]},", b',"model":"m"}'])
def test_a_large_body_that_ends_wrongly_is_refused(damaged: bytes) -> None:
    assert "not valid JSON" in refusal(b'{"messages":["' + image(60_000).encode() + b'"' + damaged)
    assert "not valid JSON" in refusal(b'{"messages":["' + image(60_000).encode())


def test_a_large_body_that_is_no_object_or_too_deep_is_refused_as_a_small_one_is() -> None:
    text = b'"' + image(60_000).encode() + b'"'
    assert refusal(b"[" + text + b"]") == "the body must be a JSON object"
    assert refusal(text) == "the body must be a JSON object"
    assert refusal(b'{"a":' + text + b',"b":' + b"[" * 5_000 + b"]" * 5_000 + b"}") == "the body is nested too deeply"


def test_fields_with_very_long_names_are_not_taken_for_one_another() -> None:
    name = "n" * 20_000
    found = body.fields(json.dumps({name + "a": 1, name + "b": image(9_000)}).encode())
    assert list(found) == [name + "a", name + "b"]
    assert "appears more than once" in refusal(
        b'{"%b":1,"x":"%b","%b":2}' % (b"n" * 20_000, b"y" * 9_000, b"n" * 20_000)
    )


def test_an_object_with_too_many_fields_is_refused_before_it_costs_anything() -> None:
    many = json.dumps({str(number): number for number in range(body.MAX_FIELDS + 1)})
    assert refusal(many.encode()) == "an object here may have at most 1000 fields"
    with pytest.raises(InvalidRequest, match="at most 1000 fields"):
        body.members(body.fields(b'{"o":' + many.encode() + b"}"), "o")
    assert len(body.fields(json.dumps({str(n): n for n in range(body.MAX_FIELDS)}).encode())) == body.MAX_FIELDS


class _Item(msgspec.Struct):
    role: str | None = None
    content: msgspec.Raw = msgspec.Raw(b"null")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b'[{"role":"a"},{"role":5}]', "input[1].role: expected `str | null`, got `int`"),
        (b'["a"]', "input[0]: expected `object`, got `str`"),
        (b"{}", "input: expected `array`, got `object`"),
        (b'[{"role":"\xff"}]', "input is not valid JSON"),
    ],
)
def test_a_typed_field_says_where_it_is_something_else(value: bytes, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        body.typed(msgspec.json.Decoder(list[_Item]).decode, msgspec.Raw(value), "input")
    assert caught.value.message == message
    assert str(caught.value.param).startswith("input")
