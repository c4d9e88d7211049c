from __future__ import annotations

import base64
import hashlib
import random
import string
import time
import uuid
from pathlib import Path
from urllib.parse import quote

import hypothesis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_testgen.delivery.secrets import holds_secret

KNOWN = "correct-Horse/battery+Staple=42"
PROPERTY = settings(derandomize=True, deadline=None, max_examples=200)


def token_forms(seed: int = 0) -> dict[str, str]:
    """One token of each form, made here so that none stands in this file."""
    chance = random.Random(seed)  # noqa: S311 - the same tokens each time

    def some(length: int, alphabet: str = string.ascii_letters + string.digits) -> str:
        return "".join(chance.choices(alphabet, k=length))

    digits, hexadecimal = string.digits, string.hexdigits[:16]
    return {
        "GitHub, personal": f"ghp_{some(36)}",
        "GitHub, of a job": f"ghs_{some(36)}",
        "GitHub, fine-grained": f"github_pat_{some(22)}_{some(59)}",
        "Hugging Face": f"hf_{some(34, string.ascii_letters)}",
        "OpenAI, old": f"sk-{some(20)}T3BlbkFJ{some(20)}",
        "OpenAI, of a project": f"sk-proj-{some(40)}-_{some(40)}",
        "Anthropic": f"sk-ant-api03-{some(90)}-AA",
        "OpenRouter": f"sk-or-v1-{some(64, hexadecimal)}",
        "DeepSeek": f"sk-{some(32, hexadecimal)}",
        "Amazon": f"AKIA{some(16, string.ascii_uppercase + digits)}",
        "Google": f"AIza{some(35)}",
        "Slack": f"xoxb-{some(12, digits)}-{some(12, digits)}-{some(24)}",
        "GitLab": f"glpat-{some(20)}",
        "PyPI": f"pypi-AgEIcHlwaS5vcmc{some(120)}",
        "private key": f"-----BEGIN PRIVATE KEY-----\n{some(64)}\n-----END PRIVATE KEY-----",
    }


def spellings(secret: str) -> dict[str, str]:
    data = secret.encode()
    half = len(secret) // 2
    first, second = secret[:half], secret[half:]
    wrapped = base64.encodebytes(data * 5).decode()
    return {
        "plain": secret,
        "amid a word": f"x{secret}x",
        "reversed": secret[::-1],
        "base64": base64.b64encode(data).decode(),
        "base64, one byte before": base64.b64encode(b"x" + data).decode(),
        "base64, two bytes before": base64.b64encode(b"xy" + data + b"z").decode(),
        "base64 for URLs": base64.urlsafe_b64encode(b"\xff\xfe\xfd" + data).decode(),
        "base64 without padding": base64.b64encode(data).decode().rstrip("="),
        "base64 after a letter": f"b{base64.b64encode(data).decode()}",
        "base64 after a path": f"/a/{base64.b64encode(data).decode()}",
        "base64 over lines": f'"""\n{wrapped}"""',
        "base64 over escaped lines": repr(wrapped),
        "base64 over strings": "\n".join(f'    "{line}"' for line in wrapped.split()),
        "hexadecimal": data.hex(),
        "hexadecimal, upper case": data.hex().upper(),
        "hexadecimal number": f"0x{data.hex()}",
        "hexadecimal after a digit": f"a{data.hex()}",
        "hexadecimal over strings": f'"{data.hex()[:20]}" "{data.hex()[20:]}"',
        "quoted": quote(secret, safe=""),
        "quoted, lower case": "".join(f"%{byte:02x}" for byte in data),
        "quoted, upper case": "".join(f"%{byte:02X}" for byte in data),
        "escaped": "x = '" + "".join(f"\\x{byte:02x}" for byte in data) + "'",
        "escaped otherwise": "x = '" + "".join(f"\\u{byte:04X}" for byte in data) + "'",
        "escaped in octal": "x = b'" + "".join(f"\\{byte:03o}" for byte in data) + "'",
        "two strings": f"'{first}' '{second}'",
        "two strings, added": f"'{first}' + \"{second}\"",
        "two strings in lines": f"(\n    '{first}'\n    '{second}'\n)",
        "two strings, continued": f"'{first}' \\\n    '{second}'",
        "two bytes": f"b'{first}' b'{second}'",
        "two strings of other kinds": f"r'{first}' f'{second}'",
        "two strings with a comment between": f"x = ('{first}'  # and\n    '{second}')",
        "two strings, joined": f"x = ''.join(['{first}', '{second}'])",
        "letter by letter": f"x = ''.join({list(secret)!r})",
        "letters added": "x = " + " + ".join(map(repr, secret)),
        "in an f-string": f"x = f'{first}{{\"{second}\"}}'",
        "two strings, in brackets": f"x = ('{first}') + ('{second}')",
        "three strings, in brackets": f"x = ('{secret[:2]}') + ('{secret[2:5]}') + ('{secret[5:]}')",
    }


@pytest.mark.parametrize("spelling", spellings(KNOWN))
def test_the_jobs_own_secret_is_found_in_each_spelling(spelling):
    text = spellings(KNOWN)[spelling]
    assert holds_secret(text, [KNOWN])
    assert holds_secret(f"def test_it():\n    {text}\n", [KNOWN])
    assert holds_secret(text, ["other-value", f" {KNOWN}\n"])
    assert not holds_secret(text, ["other-value"])
    assert not holds_secret(text, [])


@pytest.mark.parametrize(
    "spelling",
    [
        "base64 over lines",
        "base64 over escaped lines",
        "base64 over strings",
        "hexadecimal over strings",
        "two strings",
        "two strings, added",
        "two strings in lines",
        "two strings, continued",
        "two bytes",
        "two strings of other kinds",
    ],
)
def test_the_lines_of_a_method_are_looked_through_although_they_are_no_module(spelling):
    text = spellings(KNOWN)[spelling].replace("\n", "\n        ")
    assert holds_secret(f"    def test_it(self):\n        x = {text}\n", [KNOWN])


@pytest.mark.parametrize("spelling", spellings("8letters"))
def test_even_a_secret_as_short_as_one_may_be_is_found(spelling):
    assert holds_secret(spellings("8letters")[spelling], ["8letters"])


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=80), st.integers(0, 3), st.data()
)
@PROPERTY
def test_any_secret_is_found_in_each_encoding(secret, before, data):
    raw = b"\xf0xyz"[:before] + secret.encode() + data.draw(st.binary(max_size=4))
    encoded = data.draw(
        st.sampled_from(
            [
                base64.b64encode(raw).decode(),
                base64.urlsafe_b64encode(raw).decode(),
                raw.hex(),
                quote(raw),
                repr(secret),
            ]
        )
    )
    around = data.draw(st.sampled_from(["{}", "x = '{}'", "x = b'''{}'''", "{}\n", "# {}", "call('{}')"]))
    if encoded == repr(secret):
        around = "x = {}"
    assert holds_secret(around.format(encoded), [secret])


def test_a_secret_with_other_letters_is_found():
    value = "größe-日本-\U0001f600"
    data = value.encode()
    for text in (value, value[::-1], base64.b64encode(data).decode(), data.hex(), quote(value), f"x = {value!a}"):
        assert holds_secret(text, [value])


def test_a_secret_of_several_lines_is_found():
    value = "first line\nsecond line\n"
    assert holds_secret(f"a{value}b", [value])
    assert holds_secret(f"x = {value!r}", [value])
    assert holds_secret(f'x = """\n{value}"""', [value])
    assert holds_secret(base64.b64encode(value.encode()).decode(), [value])


@pytest.mark.parametrize("known", [[], [""], ["  "], ["short"], ["1234567"], ["\n"], [" pad \t"]])
def test_what_is_too_short_is_no_secret(known):
    assert not holds_secret("def test_it():\n    assert f('short', ' pad ') == 1234567\n", known)


@pytest.mark.parametrize("form", token_forms())
@pytest.mark.parametrize("seed", range(20))
def test_a_token_of_anybodys_is_found(form, seed):
    token = token_forms(seed)[form]
    assert holds_secret(token, [])
    assert holds_secret(f"x = f(y, {token!r})\n", [])
    assert holds_secret(f"https://x.example/?token={token}", [])
    assert holds_secret(base64.b64encode(f"k={token}".encode()).decode(), [])
    assert holds_secret(token.encode().hex(), [])


@pytest.mark.parametrize("kind", ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "])
@pytest.mark.parametrize(
    "text",
    [
        'k = (\n    b"-----BEGIN {}PRIVATE KEY-----\\n"\n    b"{}\\n"\n)',
        'k = """\\\n-----BEGIN {}PRIVATE KEY-----\n{}\n"""',
        '    k = "-----BEGIN {}PRIVATE KEY-----\\r\\n{}"',
        'k = "\\n".join(["-----BEGIN {}PRIVATE KEY-----", "{}"])',
    ],
)
def test_a_private_key_is_found_as_code_holds_it(text, kind):
    body = token_forms()["PyPI"][20:84]
    assert holds_secret(text.format(kind, body), [])


@pytest.mark.parametrize("form", [form for form in token_forms() if "private" not in form])
def test_a_token_over_two_strings_is_found(form):
    token = token_forms()[form]
    for place in (2, 5, len(token) // 2, len(token) - 1):
        assert holds_secret(f"x = '{token[:place]}' + '{token[place:]}'", [])


@pytest.mark.parametrize(
    "text",
    [
        f"assert digest == '{hashlib.sha256(b'x').hexdigest()}'",
        f"assert digest == '{hashlib.sha512(b'x').hexdigest().upper()}'",
        "assert md5 == 'd41d8cd98f00b204e9800998ecf8427e'",
        f"assert decode('{base64.b64encode(bytes(range(256))).decode()}') == bytes(range(256))",
        f"assert decode('{base64.b85encode(bytes(range(250))).decode()}')",
        f"task-{uuid.UUID(int=2**127 + 12345)}",
        "risk-management-system-for-enterprise-customers-of-all-sizes",
        "disk-0123abcd0123abcd0123abcd0123abcd",
        "assert slug == 'ask-me-anything-about-the-new-release-of-python-3'",
        "shelf_abcdefghijklmnopqrstuvwxyzabcdefghij",
        "test_that_a_very_long_name_of_a_test_which_says_what_it_shows_is_no_secret_at_all",
        "assert key.startswith('-----BEGIN PRIVATE KEY-----')",
        "assert '-----BEGIN RSA PRIVATE KEY-----\\n...\\n-----END RSA PRIVATE KEY-----' in text",
        "pem = '-----BEGIN PRIVATE KEY-----\\nnot a key\\n-----END PRIVATE KEY-----'",
        "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA7Zq9\n-----END PUBLIC KEY-----",
        "-----BEGIN CERTIFICATE-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA7Zq9\n-----END CERTIFICATE-----",
        "client = Client(api_key='sk-test')",
        "client = Client(api_key='sk-proj-your-key-here')",
        "slack = 'xoxb-test-token-for-a-mock'",
        "assert headers == {'Authorization': 'Bearer token-for-the-test'}",
        "jwt = 'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U'",
        "password = 'hunter2'",
        "assert ghp_total == 3",
        "https://example.org/a/very/long/path/with/many/parts?and=a&query=b%20c#fragment",
    ],
)
def test_ordinary_test_code_is_no_secret(text):
    assert not holds_secret(text, [KNOWN])
    assert not holds_secret(f"def test_it():\n    x = {text!r}\n", [KNOWN])


@pytest.mark.parametrize(
    "placeholder",
    [
        "AKIAIOSFODNN7EXAMPLE",
        f"AKIA{'1234567890ABCDEF'}",
        f"AKIA{'X' * 16}",
        f"ghp_{'x' * 36}",
        f"ghp_{'0123456789abcdefghijklmnopqrstuvwxyz'}",
        f"ghp_{'1234567890' * 4}"[:40],
        f"ghp_{'abcABC123' * 4}",
        f"ghs_{'A1' * 18}",
        f"github_pat_{'11AAAAAA0' * 8}",
        f"hf_{'a' * 34}",
        f"hf_{'abcdefghijklmnopqrstuvwxyzabcdefgh'}",
        f"sk-{'0' * 48}",
        f"sk-proj-{'dummy-key-for-the-tests-' * 2}",
        f"sk-ant-api03-{'fake' * 10}",
        f"AIza{'SyDUMMY_'}{'x' * 27}",
        f"xoxb-{'1234567890'}-1234567890-{'abcdefghijklmnopqrstuvwx'}",
        f"glpat-{'x' * 20}",
        f"-----BEGIN PRIVATE KEY-----\n{'A' * 64}\n",
    ],
)
def test_what_is_plainly_made_up_is_no_secret(placeholder):
    assert not holds_secret(f"token = '''{placeholder}'''", [])


@pytest.mark.parametrize("run", ["abcdef", "uvwxyz", "123456", "AbCdEf", "------", "x" * 6])
def test_six_characters_in_a_row_are_made_up_and_five_may_be_chance(run):
    assert not holds_secret(f"glpat-q8Zr3vKx0TnB7m{run}", [])
    assert not holds_secret(f"glpat-{run}q8Zr3vKx0TnB7m", [])
    assert holds_secret(f"glpat-q8Zr3vKx0TnB7m{run[:5]}9", [])
    assert holds_secret(f"glpat-9{run[1:]}q8Zr3vKx0TnB7m", [])
    assert holds_secret("glpat-q8Zr3vKx0TnB7mfedcba", [])


def test_what_is_made_up_is_a_secret_all_the_same_if_the_job_has_it():
    assert holds_secret(f"token = 'ghp_{'x' * 36}'", [f"ghp_{'x' * 36}"])


@given(st.text(string.printable, max_size=400))
@PROPERTY
def test_random_text_without_the_secret_is_no_secret(text):
    assert not holds_secret(text, [KNOWN])


@pytest.mark.parametrize(
    "path", sorted(Path(hypothesis.__file__).parent.rglob("*.py"))[:40], ids=lambda path: path.name
)
def test_the_code_of_a_real_project_is_no_secret(path):
    assert not holds_secret(path.read_text(), [KNOWN])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "'",
        "'\"'\"",
        "\x00",
        "\ud800",
        "=" * 50,
        "x = '\ud800'",
        "%",
        "%zz",
        "%ff%fe",
        "A" * 12,
        "_-" * 20,
        "0x",
        "f'{'",
    ],
)
def test_whatever_a_text_holds_it_is_looked_through(text):
    assert not holds_secret(text, [KNOWN])
    assert holds_secret(text + KNOWN, [KNOWN])


@pytest.mark.parametrize("unit", ["A", "a1", "ab/", "'\" + ", "%41", "x = 'a'\n", "-----BEGIN PRIVATE KEY-----", " "])
def test_a_long_text_is_looked_through_soon(unit):
    text = unit * (100_000 // len(unit))
    start = time.perf_counter()
    assert not holds_secret(text, [KNOWN])
    assert time.perf_counter() - start < 5
