"""Siamese networks and FaceNet for speech emotion recognition across corpora, in JAX.

Letters of array axes, used as suffixes of local names (`emb_BxD`) and in field docs (`[B, D]`):

    B  clips in a training batch             Q  query clips (to be classified)
    C  classes (emotions)                    R  evaluation steps: numbers of steps at which a trial is tested
    D  width of the embedding                S  speakers
    F  features of a clip                    T  frames of a clip
    G  trials of a grid                      L  samples of a clip
    M  reference clips (the labelled ones)   P  pairs
    N  clips of a table
"""

import importlib
import importlib.metadata
from typing import Any

_FACE = {
    "load_config": "runtime.config_files:load",
    "resolve_config": "protocols.config:resolve",
    "scan": "corpora.adapters:scan",
    "read_manifest": "corpora.manifest:read_manifest",
    "check_manifest": "corpora.check:check_manifest",
    "extract": "datasets.extraction:extract",
    "interspeech_2009": "datasets.extractors:interspeech_2009",
    "speech_encoder": "datasets.speech_encoder:extractor",
    "read_table": "datasets.table_files:read_table",
    "reproduce": "experiments.reproduce:run",
    "rerun": "experiments.rerun:run",
    "retrain": "experiments.retrain:run",
    "load_datasets": "experiments.run_context:load",
    "scores": "experiments.reproduce:scores",
    "table1": "report.paper.table1:markdown",
    "figure2": "report.paper.figure2:draw",
    "write_report": "report.page:write",
    "FewShotEmotion": "recognizer.few_shot:FewShotEmotion",
    "TransferClassifier": "recognizer.classifier:TransferClassifier",
    "ratio_loss": "losses.siamese:ratio_loss",
    "t_interval": "stats.intervals:t_interval",
    "use_all_cores": "runtime.devices:use_all_cores",
    "InputError": "errors:InputError",
}
"""Public names, each with the module that holds it and its name there; docs/api.md describes them."""

__all__ = [*_FACE]


def __getattr__(name: str) -> Any:
    """Imports a public name at its first use, so that importing the package alone imports nothing."""
    if name == "__version__":
        return importlib.metadata.version("siamese_jax")
    if name not in _FACE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _FACE[name].split(":")
    return getattr(importlib.import_module(f"{__name__}.{module}"), attribute)


def __dir__() -> list[str]:
    return sorted([*globals(), *_FACE, "__version__"])
