from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import units
from gateway.config.units import Address


@pytest.mark.parametrize(
    ("written", "count"),
    [("20MB", 20_000_000), ("32KB", 32_000), ("32KiB", 32_768), ("1.5 GB", 1_500_000_000), ("7", 7), (7, 7), ("9B", 9)],
)
def test_a_size_is_read_in_decimal_or_binary_units(written: object, count: int) -> None:
    assert units.size(written) == count


@pytest.mark.parametrize("written", ["20 megs", "MB", "-1", -1, 1.5, "1.5B", "", None, True, "20mb", "1e3", "٣MB", []])
def test_what_is_not_a_size_is_refused_with_an_example(written: object) -> None:
    with pytest.raises(ValueError, match=r"20MB|whole number"):
        units.size(written)


@given(st.integers(0, 10**12))
def test_a_number_of_bytes_means_the_same_with_and_without_its_unit(count: int) -> None:
    assert units.size(count) == units.size(f"{count}B") == units.size(str(count)) == count


@pytest.mark.parametrize(("written", "part"), [("20%", 0.2), ("0%", 0.0), ("100 %", 1.0), ("0.5%", 0.005)])
def test_a_share_needs_its_percent_sign(written: str, part: float) -> None:
    assert units.share(written) == part


@pytest.mark.parametrize("written", [20, 0.2, "0.2", "101%", "-1%", "%", None, True])
def test_a_share_that_could_be_read_two_ways_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="% sign"):
        units.share(written)


def test_a_date_lasts_to_the_end_of_its_day_in_utc() -> None:
    assert units.instant("2027-06-30") == int(datetime(2027, 7, 1, tzinfo=UTC).timestamp())


def test_a_time_is_taken_with_its_zone_and_only_so() -> None:
    assert units.instant("2027-06-30T14:00:00+02:00") == units.instant("2027-06-30T12:00:00Z")
    with pytest.raises(ValueError, match="zone"):
        units.instant("2027-06-30T12:00:00")


@pytest.mark.parametrize("written", ["soon", "2027-02-30", "30.6.2027", 20270630, None, "9999-12-31", "2027-06-30 "])
def test_what_is_not_a_date_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="2027-06-30"):
        units.instant(written)


def test_a_hash_is_its_32_bytes_in_either_case() -> None:
    assert units.digest("sha256:" + "aB" * 32) == b"\xab" * 32


@pytest.mark.parametrize("secret", ["lg-" + "x" * 43, "hunter2", "a" * 64])
def test_a_secret_in_place_of_its_hash_is_named_as_such_and_not_repeated(secret: str) -> None:
    with pytest.raises(ValueError, match="may be the secret itself") as told:
        units.digest(secret)
    assert secret not in str(told.value)


@pytest.mark.parametrize("written", ["sha256:abc", "sha256:" + "g" * 64, "sha256:" + "a" * 65, None, 5])
def test_a_malformed_hash_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        units.digest(written)


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("127.0.0.1:8080", Address("127.0.0.1", 8080)),
        ("[::1]:0", Address("::1", 0)),
        ("localhost:65535", Address("localhost", 65535)),
    ],
)
def test_an_address_is_split_and_put_together_again(written: str, address: Address) -> None:
    assert units.split_address(written) == address
    assert str(address) == units.address(written) == written


@pytest.mark.parametrize(
    "written", ["8080", ":8080", "host", "host:", "host:65536", "a b:1", "::1:80", "h:-1", 8080, ""]
)
def test_what_is_not_an_address_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="host:port"):
        units.address(written)


@pytest.mark.parametrize(
    "url",
    [
        "http://vllm-0:8000",
        "https://models.example.com",
        "http://10.0.0.1/",
        "http://[::1]:80",
        "unix:///run/m.sock",
        "http://my_service:8000",
    ],
)
def test_the_urls_of_endpoints_are_taken(url: str) -> None:
    units.check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "vllm:8000",
        "ftp://a",
        "http://",
        "http://a:0",
        "http://a:99999",
        "http://a:b",
        "http://a/v1",
        "http://a?x=1",
        "http://a#x",
        "http://user:pw@a",
        "unix://run/m.sock",
        "unix:///",
        "unix:///" + "x" * 120,
        "http://a b",
        "http://a\r\nx: y",
        "http://ä",
        "http://[::1",
        "http://[zz]:1",
        "http://a,b:1",
        "file:///etc/passwd",
    ],
)
def test_a_url_that_is_more_or_less_than_an_endpoint_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|expected|unix socket"):
        units.check_url(url)


def test_credentials_in_a_url_are_refused_and_not_repeated() -> None:
    with pytest.raises(ValueError, match="api_key") as told:
        units.check_url("http://user:hunter2@vllm:8000")
    assert "hunter2" not in str(told.value)


def test_references_to_the_environment_are_resolved_once_and_not_again_in_their_values() -> None:
    environ = {"HOST": "vllm", "PORT": "${HOST}"}
    assert units.resolve_env("http://${HOST}:${PORT}", environ) == "http://vllm:${HOST}"
    assert units.env_names("${A}-${B_1}") == ["A", "B_1"]


@pytest.mark.parametrize(
    ("text", "told"),
    [("${NO}", "NO is not set"), ("${EMPTY}", "EMPTY is empty"), ("${}", r"\$\{NAME\}"), ("${a-b}", r"\$\{NAME\}")],
)
def test_a_reference_that_leads_nowhere_is_named(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        units.resolve_env(text, {"EMPTY": ""})


@given(st.text())
def test_what_an_error_shows_is_short_and_on_one_line(text: str) -> None:
    assert len(units.shown(text)) <= 62
    assert units.shown(text).isprintable()


@pytest.mark.parametrize("secret", ["lg-" + "aZ09_-xyzzyx" * 3, "sk-proj-1234567890abcdef", "f" * 64])
def test_what_looks_like_a_secret_is_never_shown(secret: str) -> None:
    assert secret not in units.shown(secret)
    assert secret[3:] not in units.shown(["a", {"k": secret}])


@pytest.mark.parametrize("url", ["https://api.example.com", "https://api.example.com/v1", "http://[::1]:80/a/b-c"])
def test_the_address_of_an_api_may_have_a_path(url: str) -> None:
    units.check_base_url(url)


@pytest.mark.parametrize(
    "url",
    [
        *("api.example.com/v1", "https://", "ftp://a/b", "unix:///run/x.sock", "https://a/b?key=1", "https://a/b#c"),
        *("https://user:hunter2@a/b", "https://a:0/b", "https://a/b c", "https://a/\u00e9", "https://[a/b", ""),
    ],
)
def test_an_address_of_an_api_is_a_scheme_a_host_and_a_path(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|expected") as caught:
        units.check_base_url(url)
    assert "hunter2" not in str(caught.value)


def test_what_others_can_read_on_its_way_is_known() -> None:
    assert units.leaves_in_clear("http://example.com/v1")
    assert not any(map(units.leaves_in_clear, ("https://example.com", "http://127.0.0.1:1", "http://[::1]", None)))


def test_an_admin_token_is_long_and_random() -> None:
    units.check_admin_token("0123456789abcdef" * 2)
    for token in ("", " " * 40, "0123456789abcde" * 2, "0" * 64, "change" * 8, "0123456789abcdef 0123456789abcdef"):
        with pytest.raises(ValueError, match=r"32 random characters|printable ASCII") as refused:
            units.check_admin_token(token)
        assert not token.strip() or token not in str(refused.value)


def test_a_control_store_is_sqlite_or_postgresql() -> None:
    for url in ("sqlite", "postgresql://u@h/d"):
        units.check_control_store(url)
    for url in ("redis://h:1/0", "postgres://h/d", "", "postgresql://"):
        with pytest.raises(ValueError, match="postgresql://user@host/database"):
            units.check_control_store(url)


def test_a_reference_to_nothing_is_unset_and_a_text_is_not() -> None:
    assert [units.is_unset("${A}", environ) for environ in ({}, {"A": ""}, {"A": "x"})] == [True, True, False]
    assert [units.is_unset(text, {}) for text in ("", "x${A}")] == [False, False]
