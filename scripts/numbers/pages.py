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
    prose = BLOCK.sub(_blank, page)
    rest = CODE.sub(_blank, prose)
    for claim in claims:
        found = list(claim.pattern.finditer(prose))
        if not claim.true:
            yield f"the records do not bear out {claim.text!r}"
        if not found:
            yield f"lacks the text {claim.text!r}"
        for match in found:
            rest = rest[: match.start()] + _blank(match) + rest[match.end() :]
    for number in NUMBER.finditer(rest) if whole else ():
        line = page.count("\n", 0, number.start()) + 1
        yield f"line {line}: nothing accounts for {number[0]} in {page.splitlines()[line - 1].strip()[:100]!r}"


def _blank(found: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", found[0])
