"""Checks a corpus or a CSV manifest: counts clips by speaker and emotion, lists every problem that would stop a run.

siamese-jax manifest --corpus=ravdess --root=DIR --output=ravdess.csv
siamese-jax manifest --manifest=FILE.csv

Exit status: 0 without errors, 1 with errors in the clips, 2 if nothing could be checked.
"""

import os

from absl import app, flags

from siamese_jax.corpora import adapters
from siamese_jax.corpora.check import check_manifest, format_report
from siamese_jax.corpora.manifest import COMMON_ALIASES, EMOTIONS, PAPER_EMOTIONS, read_rows, write_manifest

from . import common

CORPUS = flags.DEFINE_enum("corpus", None, sorted(adapters.CORPORA), "A corpus that the package knows.")
ROOT = common.define_path("root", None, "The folder of the corpus, or of the files of --manifest.")
MANIFEST = common.define_path("manifest", None, "A CSV with file, emotion, speaker.")
OUTPUT = common.define_path("output", None, "Where to write the manifest as CSV.")
EMOTION_LIST = flags.DEFINE_multi_enum("emotion", list(PAPER_EMOTIONS), EMOTIONS, "Emotions that must be present.")
ALIASES = flags.DEFINE_bool("aliases", False, "Accept other words for emotions, such as happy or Angry.")
OPTIONS = flags.DEFINE_multi_string("option", [], "Options of the corpus' scan, such as unsegmented (eNTERFACE'05).")
WORKERS = flags.DEFINE_integer("workers", os.cpu_count() or 1, "Threads that decode.", lower_bound=1)
SHOWN = flags.DEFINE_integer("shown", 20, "Findings of one kind that are listed in full.", lower_bound=1)


def main() -> int:
    if MANIFEST.value is not None and CORPUS.value is None:
        manifest, problems = read_rows(MANIFEST.value, ROOT.value, COMMON_ALIASES if ALIASES.value else None)
    elif CORPUS.value is not None and ROOT.value is not None and MANIFEST.value is None:
        manifest = adapters.scan(CORPUS.value, ROOT.value, **dict.fromkeys(OPTIONS.value, True))
        problems = ()
    else:
        raise app.UsageError("give either --corpus and --root, or --manifest")
    report = check_manifest(manifest, EMOTION_LIST.value, WORKERS.value, problems)
    common.show(format_report(report, SHOWN.value), end="")
    if OUTPUT.value is not None:
        write_manifest(OUTPUT.value, manifest)
    return 1 if report.errors else 0


if __name__ == "__main__":
    common.run(main)
