"""Looking for secrets and for people's data in what is about to be sent: the card, the configuration, the label names.

Tokens are known by the prefixes that their issuers document for this purpose; numbers of people count only where their
check digits hold (Luhn for cards, ISO 7064 for Chinese ids and IBANs), so that figures aren't taken for them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from modelnook.domain.publication import Finding

__all__ = ["KINDS", "scan_files", "scan_json", "scan_text"]


def _luhn(text: str) -> bool:
    digits = [int(c) for c in text if c.isdigit()]
    if len(set(digits)) < 2:
        return False
    doubled = [d if i % 2 == 0 else (d * 2 - 9 if d > 4 else d * 2) for i, d in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0


def _iban(text: str) -> bool:
    plain = text.replace(" ", "")
    digits = "".join(str(int(c, 36)) for c in plain[4:] + plain[:4])
    return int(digits) % 97 == 1


def _chinese_id(text: str) -> bool:
    """GB 11643: ISO 7064 MOD 11-2 over the first 17 digits."""
    total = sum(int(d) * w for d, w in zip(text[:17], (2 ** (17 - i) % 11 for i in range(17)), strict=True))
    return "10X98765432"[total % 11] == text[17].upper()


def _always(text: str) -> bool:
    return True


def _not_example(text: str) -> bool:
    return not re.search(r"@(example\.(com|org|net)|localhost)$|@\w+\.(test|invalid|example)$", text, re.IGNORECASE)


_EDGE, _END = r"(?<![A-Za-z0-9_/+.-])", r"(?![A-Za-z0-9_/+-])"

# kind -> (pattern, whether what it found is one)
_PATTERNS: tuple[tuple[str, re.Pattern[str], Callable[[str], bool]], ...] = tuple(
    (kind, re.compile(pattern), holds)
    for kind, pattern, holds in (
        ("private_key", r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----", _always),
        (
            "token",
            _EDGE
            + r"(?:hf_[A-Za-z0-9]{30,}|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{50,}|glpat-[\w-]{20,}|AKIA[A-Z0-9]{16}"
            r"|ASIA[A-Z0-9]{16}|AIza[\w-]{35}|sk-[A-Za-z0-9_-]{20,}|xox[abprs]-[A-Za-z0-9-]{10,}|npm_[A-Za-z0-9]{36}"
            r"|pypi-[\w-]{50,}|wandb_v1_\w{30,}|ms-[0-9a-f]{8}-[0-9a-f-]{27}|LTAI[A-Za-z0-9]{12,24}"
            r"|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,})" + _END,
            _always,
        ),
        ("password", r"[a-z][a-z0-9+.-]*://[^\s/:@\"'<>]+:[^\s/@\"'<>]+@[^\s\"'<>]+", _always),
        (
            "password",
            r"(?i)\b(?:password|passwd|secret|api[_-]?key|access[_-]?key|auth[_-]?token|密码|口令)[\"']?\s*[:=：]\s*[\"']?[^\s\"',;{}]{6,}",
            _always,
        ),
        ("email", _EDGE + r"[\w.+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}(?![\w-])", _not_example),
        ("phone", r"(?<![\w.+])\+\d{1,3}(?:[ .-]?\(?\d{1,4}\)?){2,5}(?![\w.])", lambda s: 9 <= _digits(s) <= 15),
        ("phone", r"(?<![\w.])1[3-9]\d(?:[ -]?\d{4}){2}(?![\w.])", _always),
        ("phone", r"(?<![\w.])(?:\(\d{3}\) ?|\d{3}[ -])\d{3}-\d{4}(?![\w.])", _always),
        (
            "id_number",
            r"(?<![\w.])[1-9]\d{5}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx](?!\w)",
            _chinese_id,
        ),
        ("id_number", r"(?<![\w.-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w.-])", _always),
        ("card_number", r"(?<![\w.-])[3-6]\d{3}(?:[ -]?\d{4}){2}[ -]?\d{3,4}(?![\w.-])", _luhn),
        ("iban", r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?(?!\w)", _iban),
        ("home_path", r"(?:/home/|/Users/|/root/|[A-Za-z]:\\+Users\\+)[^\s/\\\"'<>:]+", _always),
    )
)
KINDS = tuple(dict.fromkeys(kind for kind, _, _ in _PATTERNS))
"""What can be found, in the order in which it is looked for."""


def _digits(text: str) -> int:
    return sum(c.isdigit() for c in text)


def scan_text(text: str, where: str) -> Iterator[Finding]:
    """What a text holds; ``where`` gets the line's number.

    >>> [f.kind for f in scan_text("ask anna@firm.de, model of 11000000000 rows", "card")]
    ['email']
    """
    for number, line in enumerate(text.splitlines(), 1):
        yield from _scan(line, f"{where}:{number}")


def scan_json(value: Any, where: str) -> Iterator[Finding]:
    """What the texts of a JSON value hold, its keys too; numbers are figures and nobody's."""
    if isinstance(value, str):
        # A text of several lines within JSON is told by its place alone.
        for line in value.splitlines():
            yield from _scan(line, where)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _scan(str(key), where)
            if isinstance(inner, str) and inner and re.search(r"(?i)passw|secret|api_?key|_token_value", str(key)):
                yield Finding("password", f"{where}.{key}", _masked(inner))
            yield from scan_json(inner, f"{where}.{key}")
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from scan_json(inner, f"{where}[{at}]")


def _scan(text: str, where: str) -> Iterator[Finding]:
    taken: list[tuple[int, int]] = []
    for kind, pattern, holds in _PATTERNS:
        for match in pattern.finditer(text):
            start, end = match.span()
            if holds(match[0]) and not any(a < end and start < b for a, b in taken):
                taken.append((start, end))
                yield Finding(kind, where, _masked(match[0]))


def _masked(text: str) -> str:
    """Enough to recognize it and not enough to use it.

    >>> _masked("anna@firm.de"), _masked("12345")
    ('anna…', '1…')
    """
    return f"{text[:4] if len(text) > 8 else text[:1]}…"


def scan_files(files: Iterable[tuple[str, bytes]]) -> Iterator[Finding]:
    """What JSON and other texts hold; a vocabulary is everybody's words and isn't looked at."""
    for name, data in files:
        try:
            text = data.decode()
        except UnicodeDecodeError:
            continue
        if not name.endswith(".json"):
            yield from scan_text(text, name)
            continue
        try:
            yield from scan_json(json.loads(text), name)
        except ValueError:
            yield from scan_text(text, name)
