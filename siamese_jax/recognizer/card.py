"""The card of a model, README.md in the Hugging Face layout: labels, sources, licences, scores, limits and misuse."""

import html
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from siamese_jax.corpora.spelling import printable
from siamese_jax.recognizer.model import Model
from siamese_jax.recognizer.network_settings import SiameseSettings


class Corpus(NamedTuple):
    """The facts of a corpus whose table ships."""

    title: str
    speech: str
    licence: str
    citation: str


CORPORA = {
    "emodb": Corpus(
        "EMO-DB",
        "German sentences read by 10 actors",
        "free to use, cite the paper",
        "Burkhardt, F., Paeschke, A., Rolfes, M., Sendlmeier, W. F., & Weiss, B. (2005). A database of German "
        "emotional speech. Proc. Interspeech 2005, 1517-1520. https://doi.org/10.21437/Interspeech.2005-446",
    ),
    "ravdess": Corpus(
        "RAVDESS",
        "two English sentences read by 24 actors",
        "CC BY-NC-SA 4.0 (non-commercial; works made from it keep the licence)",
        "Livingstone, S. R., & Russo, F. A. (2018). The Ryerson Audio-Visual Database of Emotional Speech and Song "
        "(RAVDESS). PLoS ONE 13(5): e0196391. https://doi.org/10.1371/journal.pone.0196391",
    ),
}

WHISPER = (
    "Radford, A., Kim, J. W., Xu, T., Brockman, G., McLeavey, C., & Sutskever, I. (2022). Robust speech recognition "
    "via large-scale weak supervision. arXiv:2212.04356. https://doi.org/10.48550/arXiv.2212.04356"
)

NON_COMMERCIAL = (
    "non-commercial use only (CC BY-NC-SA 4.0), since it is computed from RAVDESS (Livingstone & Russo 2018)"
)


def is_non_commercial(model: Model) -> bool:
    """Returns whether a source forbids commercial use."""
    return any(source.shipped == "ravdess" for source in model.sources)


def notices(model: Model) -> list[str]:
    """Returns sentences on licence and citations, for the terminal and the page."""
    lines = [f"This model is for {NON_COMMERCIAL}."] if is_non_commercial(model) else []
    names = [CORPORA[source.shipped].title for source in model.sources if source.shipped]
    cited = f"{' and '.join(names)}, and " if names else ""
    return [
        *lines,
        f"Cite {cited}Whisper (Radford et al. 2022), whose encoder gives the features.",
    ]


def card(model: Model) -> str:
    """Returns the card's Markdown. Names from recordings and tables are escaped."""
    return "\n\n".join([
        _front_matter(model), "# Emotion recogniser", _what(model), "## Labels", _labels(model), "## Sources",
        _sources(model), "## Scores", _scores(model.evidence), "## How sure a label is", _CALIBRATION, "## Uses",
        _USES, "## Limits and misuse", _limits(model), "## Licence", _licence(model), "## Citations", _citations(model),
    ]) + "\n"  # fmt: skip


def cell(text: str) -> str:
    """Returns a name from data as Markdown shows it: no markup, no second column, one line."""
    escaped = html.escape(printable(text))
    return "".join(f"\\{letter}" if letter in "|\\`*_[]~" else letter for letter in escaped)


def _front_matter(model: Model) -> str:
    licence = "cc-by-nc-sa-4.0" if is_non_commercial(model) else "other"
    name = "" if is_non_commercial(model) else "\nlicense_name: see-sources"
    return (
        f"---\nlicense: {licence}{name}\nlibrary_name: siamese_jax\npipeline_tag: audio-classification\n"
        "tags: [audio, speech, speech-emotion-recognition, few-shot]\n---"
    )


def _what(model: Model) -> str:
    made, kind = f"method {model.recipe.method}", "Linear classifiers"
    if isinstance(network := model.recipe.network, SiameseSettings):
        made, kind = f"{made}, loss {network.loss}, seed {network.seed}", "A Siamese network"
    elif network is not None:
        made, kind = f"{made}, seed {network.seed}", f"{network.network.members} metric networks"
    else:
        made = f"{made}, C = {model.recipe.settings.c:g}"
    enrolled = f"{len(model.enrolled.x)} enrolled clips" if len(model.enrolled.x) else "no enrolled clips"
    return (
        f"Labels recordings of speech with one of {len(model.classes)} labels, and gives the probability of each. "
        f"{kind} on the mean and standard deviation over time of hidden states of Whisper tiny.en's "
        f"encoder (frozen). Trained on the sources below and {enrolled} ({made}). `config.json` lists all settings."
    )


def _labels(model: Model) -> str:
    enrolled = Counter(model.classes[i] for i in model.enrolled.label)
    header = ["label", "enrolled clips", *(f"clips of {cell(source.name)}" for source in model.sources)]
    counts = [Counter(source.emotions[i] for i in source.clips.label) for source in model.sources]
    rows = [[cell(name), str(enrolled[name]), *(str(count[name]) for count in counts)] for name in model.classes]
    return _table(header, rows)


def _sources(model: Model) -> str:
    if not model.sources:
        return "None: the model knows the enrolled recordings alone."
    rows = []
    for source in model.sources:
        facts = CORPORA.get(source.shipped)
        own = (facts.title, facts.speech, facts.licence) if facts else (source.name, "a table of the user's", "unknown")
        rows.append([cell(own[0]), own[1], own[2]])
    return _table(["corpus", "speech", "licence"], rows)


def _scores(evidence: Sequence[Mapping[str, Any]]) -> str:
    if not evidence:
        return (
            "None yet. `siamese-jax evaluate LABELLED --model=THIS_FOLDER` computes them on labelled recordings of "
            "other speakers."
        )
    header = ["trained on", "tested on", "mode", "clips", "speakers", "UAR (%)", "95 % interval over speakers",
              "calibration error"]  # fmt: skip
    rows = [
        [
            row["trained_on"], row["tested_on"], row["mode"], str(row["n_clips"]), str(row["n_speakers"]),
            f"{100 * row['uar']:.1f}", f"{100 * row['low']:.1f} to {100 * row['high']:.1f}",
            f"{row['calibration_error']:.3f}",
        ]
        for row in evidence
    ]  # fmt: skip
    return (
        "The same recipe, trained without the tested corpus or speakers. UAR is the unweighted average recall; chance "
        "is 1 / number of labels. Mode clip labels each recording on its own; mode folder scales all tested recordings "
        "together, and balances the labels, within each speaker where the speakers are known. Where nothing is "
        "enrolled, `predict` takes mode folder from two recordings on. No setting was chosen by these numbers.\n\n"
        + _table(header, rows)
    )


_CALIBRATION = (
    "The log-probabilities are divided by a temperature. Its prior is the mean of the best temperatures on EMO-DB "
    "and RAVDESS as targets, and held-out enrolled recordings move it. The calibration errors above are those "
    "without a temperature: the mean distance between confidence and accuracy over 15 bins of equal mass. A label "
    "is marked unsure where its probability is low, where the recording is too short, clipped or almost silent, "
    "or where its features are far from the enrolled ones. On recordings unlike the sources the probabilities are "
    "too high: between the two corpora mode clip is wrong far more often than it says. Enrol a few recordings of "
    "your own, or use mode folder."
)

_USES = (
    "    siamese-jax predict clip.wav --model=THIS_FOLDER\n"
    "    siamese-jax predict FOLDER --model=THIS_FOLDER --output=labels.csv\n\n"
    "To sort recordings, to find examples, to study corpora. Enrol a few clips of your own (`siamese-jax enrol`) and "
    "test on others (`siamese-jax evaluate`) before you rely on a label."
)


def _limits(model: Model) -> str:
    acted = [CORPORA[source.shipped].speech for source in model.sources if source.shipped]
    learned = f"The sources are acted: {'; '.join(acted)}. " if acted else ""
    return (
        f"{learned}Acted emotions are not the feelings of a person, and a voice is not evidence of a feeling. Labels "
        "are often wrong for other languages, children, illness, noise and telephone sound. Not for decisions about "
        "people. Emotion recognition at work and in education is prohibited in the European Union (AI Act, Regulation "
        "2024/1689, article 5)."
    )


def _licence(model: Model) -> str:
    if is_non_commercial(model):
        return f"For {NON_COMMERCIAL}. Works made from this model keep the licence."
    return (
        "The sources' licences are in the table above; recordings that were enrolled keep their own. The features come "
        "from Whisper tiny.en (MIT, OpenAI)."
    )


def _citations(model: Model) -> str:
    known = [CORPORA[source.shipped].citation for source in model.sources if source.shipped]
    return "\n".join(f"- {citation}" for citation in [*known, WHISPER])


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
