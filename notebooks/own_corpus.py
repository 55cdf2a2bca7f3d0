# %% [markdown]
# # Bring your own corpus
#
# From a folder of recordings to a few-shot result, in five steps: CSV manifest, check, features, experiment, a
# look at the errors. So that it runs anywhere, the notebook first makes its recordings: "speakers" that are
# harmonic tones with pitch, loudness and tremolo according to the emotion. **The results are about these tones
# and say nothing about speech**; the steps are those for your own recordings.

# %%
import csv
import logging
import os
import sys
import tempfile
import wave
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr

import siamese_jax
from siamese_jax.corpora.check import format_report
from siamese_jax.corpora.manifest import COMMON_ALIASES, PAPER_EMOTIONS, read_rows
from siamese_jax.datasets.draws import evaluation_masks
from siamese_jax.datasets.extraction import Options
from siamese_jax.report.paper.figure2 import STYLES
from siamese_jax.report.render.notebook import Markdown
from siamese_jax.runtime.devices import available_cores
from siamese_jax.stats import metrics

siamese_jax.use_all_cores()
plt.rcParams["font.size"] = 9
# What the package has to say (a clip left out, say) appears below the cell.
logging.basicConfig(stream=sys.stdout, format="%(message)s")

N_DRAWS = int(os.environ.get("NOTEBOOK_DRAWS", 20))

temporary = tempfile.TemporaryDirectory()
folder = Path(temporary.name)
audio = folder / "recordings"

# %% [markdown]
# ## Recordings
#
# Eight voices, four emotions, four takes each, about a second long, 16 kHz, 16 bits. Every voice has a pitch
# and a timbre of its own. One file is damaged on purpose.

# %%
RATE = 16000
#           pitch (of the voice's own), loudness, tremolo (Hz), glide (octaves a second), jitter
MANNERS = {
    "anger": (1.25, 0.50, 9.0, -0.1, 0.010),
    "happiness": (1.45, 0.35, 5.0, 0.4, 0.004),
    "sadness": (0.85, 0.10, 2.0, -0.3, 0.002),
    "fear": (1.55, 0.20, 7.0, 0.1, 0.020),
}


def tone(rng, pitch, tilt, manner):
    """A second of a voice, [samples] in -1..1: harmonics of a gliding, trembling pitch, and some breath."""
    factor, loudness, tremolo, glide, jitter = (value * rng.lognormal(0, 0.15) for value in manner)
    seconds = np.arange(int(RATE * rng.uniform(0.9, 1.3))) / RATE
    wander = np.cumsum(rng.normal(0, jitter, len(seconds))) / np.sqrt(RATE / 20)
    frequency = pitch * factor * 2 ** (glide * (seconds - 0.5) + wander)
    phase = 2 * np.pi * np.cumsum(frequency) / RATE
    harmonics = sum(np.sin(n * phase) / n**tilt for n in range(1, 21) if n * frequency.max() < RATE / 2)
    envelope = np.abs(np.sin(np.pi * seconds / seconds[-1])) ** 0.5 * (1 + 0.5 * np.sin(2 * np.pi * tremolo * seconds))
    sound = envelope * harmonics / np.abs(harmonics).max() + 0.02 * rng.normal(size=len(seconds))
    return loudness * sound / np.abs(sound).max()


def write_wav(path, samples):
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((32767 * samples).astype("<i2").tobytes())


rng = np.random.default_rng(0)
voices = {"anna": "female", "bert": "male", "carla": "female", "dirk": "male",
          "emma": "female", "fred": "male", "gina": "female", "hugo": "male"}  # fmt: skip
listed = []
for voice, sex in voices.items():
    pitch, tilt = rng.uniform(170, 230) if sex == "female" else rng.uniform(90, 130), rng.uniform(0.8, 1.6)
    for emotion, manner in MANNERS.items():
        for take in range(1, 5):
            name = f"{voice}/{emotion}_{take}.wav"
            write_wav(audio / name, tone(rng, pitch, tilt, manner))
            listed.append({"file": name, "emotion": emotion, "speaker": voice, "sex": sex})
(audio / "dirk" / "fear_4.wav").write_bytes(b"not a sound")
print(f"{len(listed)} files")

# %% [markdown]
# ## 1. The manifest
#
# A CSV with `file, emotion, speaker`, and if you like `corpus, sex, start, end`. Files are relative to the CSV.
# One label is not in the package's vocabulary, as happens:

# %%
listed[0]["emotion"] = "angry"
with (audio / "mine.csv").open("w", newline="") as file:
    writer = csv.DictWriter(file, listed[0])
    writer.writeheader()
    writer.writerows(listed)
print("".join((audio / "mine.csv").open().readlines()[:4]))

# %% [markdown]
# ## 2. The check
#
# Every clip is decoded; the report counts clips by speaker and emotion and names the problems of a run.

# %%
manifest, problems = read_rows(audio / "mine.csv")
report = siamese_jax.check_manifest(manifest, PAPER_EMOTIONS, available_cores(), problems)
print(format_report(report, shown=5))

# %% [markdown]
# Two errors. No label is renamed in silence: other words for the emotions are accepted where you say so. The
# damaged file can stay in the list; extraction leaves it out, says so, and goes on.

# %%
manifest = siamese_jax.read_manifest(audio / "mine.csv", aliases=COMMON_ALIASES)
report = siamese_jax.check_manifest(manifest, PAPER_EMOTIONS, available_cores())
print(format_report(report, shown=5))

# %% [markdown]
# ## 3. The features
#
# 64 numbers a clip: means and standard deviations of the INTERSPEECH 2009 descriptors and their deltas.

# %%
table = siamese_jax.extract(
    manifest, folder / "mine.npz", siamese_jax.interspeech_2009(), Options(available_cores(), strict=False)
)
print(f"{len(table)} clips, {len(table.feature_names)} features; left out: {table.made['left_out']}")

# %%
MARKERS = {
    "anger": ("#D55E00", "s"),
    "happiness": ("#E69F00", "^"),
    "sadness": ("#0072B2", "o"),
    "fear": ("#009E73", "D"),
}


def feature(name):
    return table.features[:, table.feature_names.index(name)]


figure, axis = plt.subplots(figsize=(5, 3.6), layout="constrained")
for emotion, (colour, marker) in MARKERS.items():
    mine = table.emotion == emotion
    axis.scatter(feature("F0_sma_amean")[mine], feature("pcm_RMSenergy_sma_amean")[mine], s=22, color=colour,
                 marker=marker, label=f"{emotion}, n = {mine.sum()}", alpha=0.8)  # fmt: skip
axis.set(xlabel="mean F0 (Hz; 0 where unvoiced)", ylabel="mean RMS energy (feature's own scale)",
         title="Two of the 64 features, one mark a clip")  # fmt: skip
axis.legend(frameon=False)
plt.show()

# %% [markdown]
# ## 4. Few-shot: from EMO-DB to your corpus
#
# One labelled clip per emotion of 2 or 4 voices, drawn at random, 20 times; each draw starts from one of 5
# networks trained on EMO-DB. Features are scaled by those labelled clips alone (`support`), which is what one
# can do in practice: the default `corpus` scaling uses all clips of the target, unlabelled test clips
# included.

# %%
config = siamese_jax.load_config("reproduce")
config.data.update({"target": str(folder / "mine.npz"), "scalings": ("support",)})
config.protocol.update({"n_speakers": (2, 4), "frozen": (0,)})
config.protocol.update({"steps": (0, 10, 50), "n_draws": N_DRAWS, "n_seeds": 5, "n_in_domain_seeds": 2})
config.training.update({"in_domain_steps": 300})
config.protocol.baselines = ("logistic_regression",)
experiment = siamese_jax.resolve_config(config)
results = siamese_jax.reproduce(experiment, folder / "results")
Markdown(siamese_jax.table1(experiment, results.rows, results.optimism).partition("\n")[2])

# %%
head = experiment.network.heads[0]
scores = siamese_jax.scores(experiment, folder / "results", head, "support")
uar = scores.uar.sel(split="speaker_disjoint", frozen=0)
figure, axis = plt.subplots(figsize=(5.5, 3.6), layout="constrained")
for n_speakers, fill in ((2, "none"), (4, "full")):
    for i, loss in enumerate(experiment.protocol.losses):
        colour, marker, dashes, label = STYLES[loss]
        values = uar.sel(n_speakers=n_speakers, loss=loss).values
        interval = siamese_jax.t_interval(values, experiment.report.level, over="draws")
        bars = (interval.estimate - interval.low, interval.high - interval.estimate)
        axis.errorbar(np.arange(3) + 0.05 * (i - 1), interval.estimate, bars, label=f"{n_speakers} voices, {label}",
                      color=colour, marker=marker, linestyle=dashes, fillstyle=fill, markersize=5)  # fmt: skip
axis.set_xticks(range(3), experiment.protocol.steps)
axis.set(xlabel="fine-tuning steps (0: labelled clips as references only)", ylabel="UAR (%), other voices only")
axis.set_title(f"Mean of {N_DRAWS} draws, bars {interval.label}", size=9)
axis.axhline(25, color="black", linewidth=0.8, linestyle=":")
axis.annotate("chance", (0, 25), xytext=(0, 3), textcoords="offset points")
axis.grid(axis="y", linewidth=0.3)
figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False, fontsize=8)
plt.show()

# %% [markdown]
# Compare the lines of logistic regression: on the labelled target clips alone it scores higher than with EMO-DB
# added, so speech is no help for tones. Look at these lines for your own corpus too; they say whether a source
# is worth having.
#
# ## 5. Which emotions are taken for which
#
# Predictions are kept clip by clip, with names. Below: the ratio loss, 4 voices, 50 steps, other voices only
#
# recall by true emotion in per cent, pooled over draws.

# %%
target = siamese_jax.load_datasets(experiment)[1]
with xr.open_dataset(folder / "results" / "arrays" / head / "support" / "fine_tuning_04.nc") as arrays:
    runs = arrays.load()
tested = evaluation_masks(target, runs.support.values)["speaker_disjoint"]
predicted = runs.predictions.sel(loss="ratio", frozen=0, step=50).values
counts = np.asarray(metrics.confusion(predicted, target.label, tested, len(experiment.data.emotions))).sum(axis=0)
xr.DataArray(
    (100 * counts / counts.sum(axis=1, keepdims=True)).round(1),
    dims=("true", "taken for"),
    coords={"true": list(experiment.data.emotions), "taken for": list(experiment.data.emotions)},
).to_pandas()

# %% [markdown]
# ## With your own recordings
#
# Replace the cell that makes the tones by the path of your CSV and go on from step 2; or, for RAVDESS, CREMA-D,
# eNTERFACE'05, EMO-DB, SAVEE, EMOVO, nEMO, TESS, CASIA and IEMOCAP, take
# `siamese_jax.scan(name, root)` as the manifest. Speakers matter: draws, tests and intervals are by
# speaker, so give each person one name throughout. A target needs more speakers with all emotions than are drawn, so
# that one is left to test on.
