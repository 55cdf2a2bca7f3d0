"""IEMOCAP: the Interactive Emotional Dyadic Motion Capture database (Busso et al. 2008).

Five sessions of two actors; needs a signed release, https://sail.usc.edu/iemocap/. One line of
`Session1/dialog/EmoEvaluation/DIALOG.txt` names a turn and the emotion on which its raters agreed:

    [6.2901 - 8.2357]	Ses01F_impro01_F000	neu	[2.5000, 2.5000, 2.5000]

and `Session1/sentences/wav/DIALOG/TURN.wav` holds it. The F of Ses01F names who wears the markers; the letter of the
turn's last field tells who speaks. Turns of other labels, or without agreement (xxx), are left out.
"""

import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from siamese_jax.corpora.manifest import Clip, Manifest
from siamese_jax.corpora.scanning import Label, Layout, is_file, list_sounds, require_content, require_folder
from siamese_jax.errors import InputError

log = logging.getLogger(__name__)

EMOTION_CODES = {
    "neu": "neutral", "ang": "anger", "sad": "sadness", "hap": "happiness", "fea": "fear", "dis": "disgust",
    "sur": "surprise",
}  # fmt: skip

_OTHER_CODES = {"exc": "excitement", "fru": "frustration", "oth": "another emotion", "xxx": "raters do not agree"}

_TURN_LINE = re.compile(r"\[[\d.]+ - [\d.]+\]\t(Ses0([1-5])[FM]_\w+_([FM])\w*)\t(\w+)\t\[.*")
_SEXES = {"F": "female", "M": "male"}


def scan(root: str | Path, merge_excitement: bool = False) -> Manifest:
    """Returns the manifest of the folder that holds Session1 ... Session5, or of the folder above it.

    `merge_excitement` labels excitement "happiness", as the usual four classes do; by default it is left out. Raises
    InputError for a missing folder, one without sessions or evaluations, two copies, nothing but git-lfs pointers, an
    unreadable line of an evaluation, or an unknown emotion code.
    """
    folder = require_folder(root, LAYOUT)
    codes = EMOTION_CODES | ({"exc": "happiness"} if merge_excitement else {})
    clips, left_out = [], []
    refused = list_sounds(folder).refused
    for session in _sessions(folder, refused):
        rated = set()
        for dialog, code, label in _turns(session):
            file = PurePosixPath((session / "sentences" / "wav" / dialog / f"{label.name}.wav").relative_to(folder))
            rated.add(file)
            if code in codes:
                clips.append(Clip(str(file), label.name, codes[code], label.speaker, "iemocap", label.sex))
            else:
                left_out.append((str(file), _OTHER_CODES[code]))
        sounds = session / "sentences" / "wav"
        for sound in list_sounds(sounds).files:
            file = PurePosixPath(sounds.relative_to(folder)) / sound
            if file not in rated:
                left_out.append((str(file), "no evaluation"))
    if not clips:
        raise InputError(f"{folder}: no turns in dialog/EmoEvaluation of any session; expected {LAYOUT.expected}")
    for place, reason in refused:
        log.warning("%s: %s", folder / place, reason)
    require_content(folder, [PurePosixPath(clip.file) for clip in clips if is_file(folder / clip.file)])
    return Manifest(folder, tuple(clips), (*left_out, *refused))


def _sessions(folder: Path, refused: Sequence[tuple[str, str]]) -> list[Path]:
    """Returns the session folders, in `folder` or one level below."""
    sessions = sorted(folder.glob("Session[1-5]")) or sorted(folder.glob("*/Session[1-5]"))
    parents = sorted({session.parent for session in sessions})
    if not sessions:
        places = "".join(f" ({place}: {reason})" for place, reason in refused[:1])
        raise InputError(f"{folder}: no folder Session1 here or one level below{places}; expected {LAYOUT.expected}")
    if len(parents) > 1:
        raise InputError(f"{folder}: two copies of IEMOCAP: {parents[0]} and {parents[1]}; give the folder of one")
    return sessions


def _turns(session: Path) -> Iterator[tuple[str, str, Label]]:
    """Yields (dialog, emotion code, label without the emotion) of every turn of a session."""
    for path in sorted((session / "dialog" / "EmoEvaluation").glob("Ses*.txt")):
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror}); change its permissions") from error
        for number, line in enumerate(text.splitlines(), start=1):
            # Other lines are a comment, empty, or one rater's ("C-E2:", "A-F1:").
            if not re.match(r"\[\d", line):
                continue
            match = _TURN_LINE.fullmatch(line.rstrip())
            if match is None:
                raise InputError(
                    f"{path}, row {number}: {line!r}, expected [start - end]<tab>TURN<tab>emotion<tab>[v, a, d]"
                )
            turn, session_number, sex, code = match.groups()
            if code not in EMOTION_CODES and code not in _OTHER_CODES:
                known = ", ".join((*EMOTION_CODES, *_OTHER_CODES))
                raise InputError(f"{path}, row {number}: emotion code {code!r}, expected one of {known}")
            yield path.stem, code, Label(turn, "", f"iemocap_{session_number}{sex}", _SEXES[sex])


_EXPECTED = "the folder that holds Session1 ... Session5 with dialog/EmoEvaluation and sentences/wav in each"
LAYOUT = Layout("iemocap", "IEMOCAP", _EXPECTED, lambda name: None, inner=re.compile(r"Session[1-5]"), inner_depth=3)
