"""Names and times of predicted clips, without the folders of the machine."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from siamese_jax.recognizer.predictions import Prediction

_FOLDERS = re.compile(r"(?<![\w:/.~-])(?:~?/|[A-Za-z]:[\\/])(?:[^\s/\\:;,'\"]+[/\\])+")
"""The folders of an absolute path in running text; an address on the web has a colon before them."""


def place(prediction: Prediction) -> str:
    """Returns the times of a segment in seconds, "3.20-7.45"."""
    return f"{prediction.start:.2f}-{prediction.end:.2f}"


def clock(seconds: float) -> str:
    """Returns a time as minutes and seconds, or with hours: "1:02:03.4"."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    text = (
        f"{minutes % 60:02d}:{rest // 10:02d}.{rest % 10}"
        if minutes >= 60
        else f"{minutes}:{rest // 10:02d}.{rest % 10}"
    )
    return f"{minutes // 60}:{text}" if minutes >= 60 else text


def short_names(paths: Sequence[Path]) -> list[str]:
    """Returns each path below the deepest folder that holds all of them; of several drives, the last parts."""
    whole = [Path(os.path.abspath(path)) for path in paths]  # noqa: PTH100 - Path.resolve would follow links
    try:
        folder = Path(os.path.commonpath([path.parent for path in whole])) if whole else Path()
    except ValueError:
        return [path.name for path in whole]
    return [path.relative_to(folder).as_posix() for path in whole]


def without_folders(text: str) -> str:
    """Returns running text in which absolute paths are shortened to their last part."""
    return _FOLDERS.sub("", text)
