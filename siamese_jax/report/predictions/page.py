"""The page of predictions: one HTML file with a list to sort, filter and hear; nothing is loaded from a network."""

import base64
import dataclasses
import functools
import hashlib
import importlib.resources
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from absl import logging

from siamese_jax.errors import InputError
from siamese_jax.recognizer.predictions import Prediction
from siamese_jax.report.predictions import card, clips, sounds, words
from siamese_jax.report.render import html
from siamese_jax.report.render.document import Alert, Block, Fold, Paragraph, Table
from siamese_jax.report.render.style import CSS
from siamese_jax.report.render.text import plural
from siamese_jax.runtime.files import user_path, write_text

MOST_CLIPS = 10_000  # of a page; of more, the least certain
FEW_CLIPS = 200  # that a browser lays out at once
MOST_NAMED = 200  # clips that could not be read


@dataclasses.dataclass(frozen=True)
class Content:
    """What the page shows.

    Fields:
      predictions: in the order of the list.
      paths: [N], their sound files.
      classes: all class names, in the model's order.
      card: the model's card, Markdown.
      notes: sentences on the model, its licence and the mode, for the top of the page.
      left_out: (file, reason) of the clips that have no prediction.
      counts: of all clips by label and whether it is unsure, where `predictions` holds a part; None if it holds all.
    """

    predictions: Sequence[Prediction]
    paths: Sequence[Path]
    classes: Sequence[str]
    card: str
    notes: Sequence[str] = ()
    left_out: Sequence[tuple[str, str]] = ()
    counts: Mapping[tuple[str, bool], int] | None = None

    def totals(self) -> Counter[tuple[str, bool]]:
        """Returns the number of clips by label and whether it is unsure."""
        if self.counts is not None:
            return Counter(self.counts)
        return Counter((prediction.label, prediction.unsure) for prediction in self.predictions)


def write(output: str | Path, content: Content, sound: str) -> None:
    """Writes the page; `sound` is one of `sounds.MODES`. Logs what the page does not hold.

    Raises InputError where the name does not end in .html, or the file cannot be written.
    """
    check(output, sound)
    output = user_path(output)
    kept, cut = _shortened(content)
    prepared = sounds.prepare(sound, kept.predictions, kept.paths, output)
    for warning in prepared.warnings:
        logging.warning("%s: %s", output, warning)
    for note in (*prepared.notes, *cut):
        logging.info("%s: %s", output, note)
    write_text(output, render(kept, prepared, cut))


def check(output: str | Path, sound: str) -> None:
    """Raises InputError, before anything is computed, for a name or a kind of sound that `write` would refuse."""
    if user_path(output).suffix.lower() != ".html":
        raise InputError(f"{output}: expected a name ending in .html")
    if sound not in sounds.MODES:
        raise InputError(f"sound = {sound!r}: expected one of {', '.join(sounds.MODES)}")


def least_certain(predictions: Sequence[Prediction], most: int) -> list[int]:
    """Returns the places of the `most` least certain predictions, in their order."""
    return sorted(sounds.least_certain_first(predictions)[:most])


def _shortened(content: Content) -> tuple[Content, tuple[str, ...]]:
    """Returns the content with at most `MOST_CLIPS` predictions, and a note if there were more."""
    total, chosen = content.totals().total(), least_certain(content.predictions, MOST_CLIPS)
    if total == len(chosen):
        return content, ()
    kept = dataclasses.replace(
        content, predictions=[content.predictions[i] for i in chosen], paths=[content.paths[i] for i in chosen],
        counts=content.totals(),
    )  # fmt: skip
    return kept, (f"This page lists the {len(chosen):,} least certain of {total:,} clips; --output lists all.",)


def render(content: Content, prepared: sounds.Sounds, cut: Sequence[str] = ()) -> str:
    """Returns the page. Of the clips' paths it shows the parts below their common folder."""
    buttons = any(prepared.sources)
    entries = "\n".join(
        clips.entry(prediction, name, source, content.classes, buttons)
        for prediction, name, source in zip(
            content.predictions, words.short_names(content.paths), prepared.sources, strict=True
        )
    )
    kind = ("heard" if buttons else "silent") + (" many" if len(content.predictions) > FEW_CLIPS else "")
    style, script = _style(), _resource("page.js")
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; img-src data:; "
        f"media-src {prepared.policy}; base-uri 'none'; form-action 'none'"
    )
    title = html.escape(f"Labels of {plural(content.totals().total(), 'clip')}")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
        f'<link rel="icon" href="data:,">\n<title>{title}</title>\n<style>{style}</style>\n</head>\n'
        f"<body>\n<header><h1>{title}</h1></header>\n<main>\n"
        f'<div class="summary">{"".join(html.render_blocks(_top(content, prepared, cut)))}</div>\n'
        f'<section aria-labelledby="list-h"><h2 id="list-h">Clips</h2>\n{_controls(content.classes)}\n'
        f'<ol id="clips" class="{kind}">\n{entries}\n</ol></section>\n'
        f"{_card(content.card)}"
        '</main>\n<div id="player" hidden><span id="playing" role="status"></span>'
        f'<audio controls preload="none"></audio></div>\n<script>{script}</script>\n</body>\n</html>\n'
    )


def _top(content: Content, prepared: sounds.Sounds, cut: Sequence[str]) -> list[Block]:
    """Returns what precedes the list: notes, the number of clips of each label, unreadable clips."""
    notes: list[Block] = [Alert(words.without_folders(note)) for note in content.notes]
    notes += [Alert(note) for note in prepared.warnings] + [Paragraph(note) for note in (*prepared.notes, *cut)]
    counts = content.totals()
    if counts and all(unsure for _, unsure in counts):
        notes.append(Alert("No label on this page can be trusted: every clip is unsure."))
    unsure = {name: counts[name, True] for name in content.classes}
    few = len(content.classes) <= clips.MOST_BARS  # of many classes those that occur
    rows = [
        (name, f"{counts[name, False] + unsure[name]:,}", f"{unsure[name]:,}")
        for name in content.classes
        if few or counts[name, False] + unsure[name]
    ]
    rows.append(("all", f"{counts.total():,}", f"{sum(unsure.values()):,}"))
    modes = " and ".join(dict.fromkeys(f"{p.mode} ({p.mode_reason})" for p in content.predictions))
    caption = f"Clips by label. Mode: {modes or 'none'}."
    return [*notes, Table(caption, ("label", "clips", "of them unsure"), rows), *_left_out(content)]


def _left_out(content: Content) -> list[Block]:
    if not content.left_out:
        return []
    # Each by its last part: the folders above may tell of the machine.
    rows = [(Path(file).name, words.without_folders(reason)) for file, reason in content.left_out[:MOST_NAMED]]
    rest = len(content.left_out) - len(rows)
    blocks: list[Block] = [Table("Clips without a label, and why", ("file", "reason"), rows)]
    if rest:
        blocks.append(Paragraph(f"And {plural(rest, 'more clip')}."))
    return [Fold(f"{plural(len(content.left_out), 'clip')} could not be read", blocks)]


def _controls(classes: Sequence[str]) -> str:
    labels = "".join(f'<option value="{i}">{html.escape(name)}</option>' for i, name in enumerate(classes))
    most = "".join(f'<option value="{i}">most {html.escape(name)} first</option>' for i, name in enumerate(classes))
    return (
        '<noscript><p class="alert">Sorting, filtering and playing need JavaScript; the list is whole without.</p>'
        '</noscript>\n<div class="controls scripted" role="search" hidden>'
        '<label>File name<input id="search" type="search" autocomplete="off" spellcheck="false"></label>'
        f'<label>Label<select id="label"><option value="">every label</option>{labels}</select></label>'
        '<label>Certainty<select id="certainty"><option value="">sure and unsure</option>'
        '<option value="unsure">unsure</option><option value="sure">sure</option></select></label>'
        '<label>Order<select id="sort"><option value="given">as given</option>'
        '<option value="least">least certain first</option><option value="most">most certain first</option>'
        f'<option value="name">file name</option><option value="label">label</option>{most}</select></label></div>\n'
        '<output id="shown" aria-live="polite"></output>'
    )


def _card(text: str) -> str:
    return (
        '<section class="card" aria-labelledby="card-h"><h2 id="card-h">The model</h2>\n'
        f"<details><summary>Its card</summary>\n{card.html(words.without_folders(text))}\n</details></section>\n"
    )


@functools.cache
def _style() -> str:
    widths = "".join(f".w{percent}{{width:{percent}%}}" for percent in range(101))
    return CSS + _resource("page.css") + widths


@functools.cache
def _resource(name: str) -> str:
    return importlib.resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Returns the source expression that allows this inline script or style and no other."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"
