"""The list of the page: an entry for each clip, with a bar for every class."""

from collections.abc import Iterator, Sequence

from siamese_jax.recognizer.predictions import Prediction
from siamese_jax.report.predictions.words import clock
from siamese_jax.report.render.html import escape

WHOLE = 10  # characters of a class name that a bar shows whole
MOST_BARS = 12  # of a clip; the least probable of more classes are one line


def entry(prediction: Prediction, name: str, source: str, classes: Sequence[str], buttons: bool) -> str:
    """Returns the list entry of a clip, called `name`; `source` is what its button plays, "" for no button.

    `buttons` tells whether other entries have one.
    """
    times = f"{clock(prediction.start)}\N{EN DASH}{clock(prediction.end)}"
    percent = _percent(prediction.probabilities[prediction.label])
    why = f' <span class="why">{escape(prediction.reason)}</span>' if prediction.reason else ""
    unsure = f' <span class="unsure">unsure</span>{why}' if prediction.unsure else ""
    values = " ".join(f"{prediction.probabilities[c]:.4f}" for c in classes)
    return (
        f'<li class="clip" data-c="{classes.index(prediction.label)}"{" data-u" if prediction.unsure else ""} '
        f'data-p="{values}">{_button(name, times, source) if buttons else ""}<div class="what">'
        f'<p><span class="file">{escape(name)}</span> <span class="time">{times}</span></p>'
        f"<p><strong>{escape(prediction.label)}</strong> {percent}{unsure}</p></div>"
        f'<dl class="bars">{"".join(_bars(prediction, classes))}</dl></li>'
    )


def _button(name: str, times: str, source: str) -> str:
    if not source:
        return '<span class="mute" title="no sound in this page">\N{EN DASH}</span>'
    return (
        f'<button type="button" class="play" aria-label="Play {escape(name)}, {times}" data-src="{escape(source)}">'
        "</button>"
    )


def _bars(prediction: Prediction, classes: Sequence[str]) -> Iterator[str]:
    shown = set(sorted(classes, key=prediction.probabilities.__getitem__, reverse=True)[:MOST_BARS])
    for name in classes:
        if name in shown:
            p, top = prediction.probabilities[name], ' class="top"' if name == prediction.label else ""
            full = f' title="{escape(name)}"' if len(name) > WHOLE else ""
            yield (
                f"<div{top}><dt{full}>{escape(name)}</dt><dd><i class=w{round(100 * p)}></i></dd>"
                f"<dd>{_percent(p)}</dd></div>"
            )
    if rest := [name for name in classes if name not in shown]:
        least = _percent(sum(prediction.probabilities[name] for name in rest))
        yield f'<div class="more">{len(rest)} other classes: {least} together</div>'


def _percent(p: float) -> str:
    return f"{100 * p:.1f}\N{NARROW NO-BREAK SPACE}%"
