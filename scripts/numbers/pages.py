"""Pages: their tables written from records, and every other number accounted for."""

import re
from collections.abc import Iterator, Mapping

from scripts.numbers.claim import Claim

BLOCK = re.compile(r"<!-- (?P<name>\w+) -->\n.*?<!-- end of (?P=name) -->\n", re.DOTALL)
CODE = re.compile(r"^```.*?^```$|^(?: {4}[^\n]*\n?)+|`[^`\n]*`|\]\([^)]*\)|<!--.*?-->", re.DOTALL | re.MULTILINE)
NUMBER = re.compile(r"(?<![\w'.])[+-]?\d+(?:,\d{3})*(?:\.\d+)?(?:e-?\d+)?")
"""A number in prose. Digits inside words, such as is09 or eNTERFACE'05, are names."""


def filled(page: str, tables: Mapping[str, str]) -> str:
    """Returns a page with its tables; places without a table stay as they are."""

    def block(found: re.Match[str]) -> str:
        name = found["name"]
        return f"<!-- {name} -->\n\n{tables[name]}\n<!-- end of {name} -->\n" if name in tables else found[0]

    return BLOCK.sub(block, page)


def places(page: str) -> list[str]:
    """The names of a page's tables."""
    return [found["name"] for found in BLOCK.finditer(page)]


def problems(page: str, tables: Mapping[str, str], claims: list[Claim], whole: bool = True) -> Iterator[str]:
    """What of a page is not as its records say: tables, texts that are missing, (whole) numbers without a source."""
    for name in places(page):
        if name not in tables:
            yield f"the table {name} has no record"
    shown = {found["name"]: found[0] for found in BLOCK.finditer(page)}
    written = {found["name"]: found[0] for found in BLOCK.finditer(filled(page, tables))}
    for name, block in shown.items():
        if block != written[name]:
            yield f"the table {name} differs from its record"
    text = prose(page)
    for claim in claims:
        yield from unmet(text, claim)
    if whole:
        yield from without_source(page, claims)


def prose(page: str) -> str:
    """A page without its tables."""
    return BLOCK.sub(_blank, page)


def unmet(text: str, claim: Claim) -> Iterator[str]:
    """Why a claim does not stand in a page's text as the records say it."""
    if not claim.true:
        yield f"the records do not bear out {claim.text!r}"
    if not claim.pattern.search(text):
        yield f"lacks the text {claim.text!r}"


def without_source(page: str, claims: list[Claim]) -> Iterator[str]:
    """The numbers of a page's text, outside code, that no claim holds."""
    text = prose(page)
    rest = CODE.sub(_blank, text)
    for claim in claims:
        for found in claim.pattern.finditer(text):
            rest = rest[: found.start()] + _blank(found) + rest[found.end() :]
    lines = page.splitlines()
    for number in NUMBER.finditer(rest):
        line = page.count("\n", 0, number.start())
        yield f"line {line + 1}: nothing accounts for {number[0]} in {lines[line].strip()[:100]!r}"


def _blank(found: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", found[0])
