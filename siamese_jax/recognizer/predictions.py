"""A predicted clip or segment, the record that the commands print, write and put on a page."""

import dataclasses
from collections.abc import Mapping

MODES = ("clip", "folder")
"""Whose statistics scale a clip: those of the enrolled clips, or those of the folder that is predicted."""

ASKED = ("auto", *MODES)
"""The modes that a user asks for; see `modes.decided`."""


@dataclasses.dataclass(frozen=True)
class Prediction:
    """The label of a clip, or of a segment of a long recording.

    Fields:
      file: the path as the user gave it, or relative to the folder that was given, with "/".
      start, end: of the segment, in seconds from the beginning of the file.
      label: the class with the highest probability.
      probabilities: of every class by name, in the model's order; they sum to 1.
      unsure: whether the label should not be trusted, and `reason`, why; "" for a sure label.
      mode: of `MODES`. In mode "folder" a label may change with the other clips of the folder.
      mode_reason: why it was taken, and what the folder's clips serve for.
    """

    file: str
    start: float
    end: float
    label: str
    probabilities: Mapping[str, float]
    unsure: bool
    reason: str
    mode: str
    mode_reason: str
