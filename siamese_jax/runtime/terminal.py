"""Text from data as a terminal and a page may show it."""

import re

_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but for tab and line feed, separators, overrides of the writing direction, lone surrogates."""


def printable(text: str) -> str:
    """Returns the text with a replacement character for each that would steer a terminal or cannot be encoded."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)
