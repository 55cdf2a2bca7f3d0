"""Computes the features of a corpus or of a CSV manifest and writes them as a table.

siamese-jax extract --corpus=ravdess --root=DIR --output=TABLE.npz
siamese-jax extract --manifest=FILE.csv --output=TABLE.npz
siamese-jax extract --manifest=FILE.csv --output=TABLE.npz --features=whisper

--features=is09 gives the 64 features of the paper, --features=whisper those of a frozen speech encoder: mean and
standard deviation over time of the hidden states of --layers.

Several processes can divide the clips, on hosts that see the same files. Give --num_processes=N --process_id=I, or
--distributed=auto under Slurm or Open MPI. Process 0 waits for the others and writes the table.

The same command resumes a stopped run. Exit status: 0 with a table, 2 without a table, 143 or 130 after SIGTERM or
SIGINT, 3 when another process timed out. The log and the table name the clips that were left out.
"""

from absl import app, flags

from siamese_jax.corpora import adapters
from siamese_jax.corpora.manifest import COMMON_ALIASES, read_manifest
from siamese_jax.datasets import extraction, extractors, shipped, speech_encoder

from . import common

CORPUS = flags.DEFINE_enum("corpus", None, sorted(adapters.CORPORA), "A corpus that the package knows.")
ROOT = common.define_path("root", None, "The folder of the corpus, or of the files of --manifest.")
MANIFEST = common.define_path("manifest", None, "A CSV with file, emotion, speaker.")
OUTPUT = common.define_path("output", None, "The table to write (.npz).", required=True)
ALIASES = flags.DEFINE_bool("aliases", False, "Accept other words for emotions, such as happy or Angry.")
OPTIONS = flags.DEFINE_multi_string("option", [], "Options of the corpus' scan, such as unsegmented (eNTERFACE'05).")
STRICT, WORKERS = common.define_extraction()
FEATURES = flags.DEFINE_enum("features", "is09", shipped.FEATURE_SETS, "The feature set.")
SPEECH_ENCODER = common.define_path(
    "speech_encoder", "tiny.en", "whisper: an encoder that ships (tiny.en), or a folder with config.json and weights."
)
LAYERS = flags.DEFINE_list("layers", ["1", "2", "3"], "whisper: the layers; 0 is the convolutions.")
LOUDNESS = flags.DEFINE_float("loudness", -25, "whisper: dBFS to which every clip is set.")
PADDING = flags.DEFINE_enum("padding", "clip", speech_encoder.PADDINGS, "whisper: what the encoder sees of a clip.")
PRECISION = flags.DEFINE_enum("precision", "float32", speech_encoder.PRECISIONS, "whisper: of the layers.")
common.define_hosts()


def _extractor() -> extractors.Extractor:
    if FEATURES.value == "is09":
        return extractors.interspeech_2009()
    layers = speech_encoder.parse_layers(LAYERS.value)
    options = speech_encoder.Options(layers, LOUDNESS.value, PADDING.value, PRECISION.value)
    return speech_encoder.extractor(SPEECH_ENCODER.value, options)


def main() -> None:
    if MANIFEST.value is not None and CORPUS.value is None:
        manifest = read_manifest(MANIFEST.value, ROOT.value, COMMON_ALIASES if ALIASES.value else None)
    elif CORPUS.value is not None and ROOT.value is not None and MANIFEST.value is None:
        manifest = adapters.scan(CORPUS.value, ROOT.value, **dict.fromkeys(OPTIONS.value, True))
    else:
        raise app.UsageError("give either --corpus and --root, or --manifest")
    share = common.share()
    options = extraction.Options(WORKERS.value, STRICT.value)
    table = extraction.extract_share(manifest, OUTPUT.value, _extractor(), options, share)
    if table is None:
        print(f"{OUTPUT.value}: the clips of {share} are done; process 0 writes the table")
    else:
        count = table.made["left_out_count"]
        print(f"{OUTPUT.value}: {len(table)} clips, {len(table.feature_names)} features, {count} clips left out")


if __name__ == "__main__":
    common.run(main)
