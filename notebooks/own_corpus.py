# %% [markdown]
# # Bring your own corpus
#
# From a folder of recordings to labels with probabilities: enrol a few labelled recordings, label the others, test
# the labels, keep the model. So that it runs anywhere, the notebook first makes its recordings: "speakers" that are
# harmonic tones with pitch, loudness and tremolo according to the emotion. **The results are about these tones and
# say nothing about speech**; the steps are those for your own recordings. docs/recognizer.md has the same from the
# command line.

# %%
import csv
import logging
import os
import sys
import tempfile
import warnings
import wave
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr

import siamese_jax
from siamese_jax.datasets.extraction import Options
from siamese_jax.recognizer import evaluation, recordings

warnings.filterwarnings("ignore", message="IProgress")  # of a progress bar that is not shown
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
# ## 1. Enrol
#
# Two voices are labelled, one recording of each emotion: eight recordings. Labels are any words. With speech a source
# corpus helps (`source="emodb"`); for tones it does not, so there is none here.

# %%
os.chdir(audio)  # so that messages show short names
known = ("anna", "bert")
enrolled = [entry for entry in listed if entry["speaker"] in known and entry["file"].endswith("_1.wav")]
model = siamese_jax.FewShotEmotion(source="", c=0.1)
model.fit(
    [entry["file"] for entry in enrolled],
    [entry["emotion"] for entry in enrolled],
    [entry["speaker"] for entry in enrolled],
)
print(f"{len(enrolled)} recordings, labels {', '.join(model.classes_)}")

# %% [markdown]
# ## 2. Label the other voices
#
# A recording that cannot be read has an empty label; the log names it.

# %%
others = [entry for entry in listed if entry["speaker"] not in known]
files = [entry["file"] for entry in others]
labels = model.predict(files)
truth = np.array([entry["emotion"] for entry in others])
print(f"{(labels != '').sum()} of {len(files)} recordings have a label; {(labels == truth).sum()} labels are right")

# %%
COLOURS = {"anger": "#D55E00", "happiness": "#E69F00", "sadness": "#0072B2", "fear": "#009E73"}
shown = model.predict_proba(files[:16])
figure, axis = plt.subplots(figsize=(6, 3.6), layout="constrained")
left = np.zeros(len(shown))
for name, share in zip(model.classes_, shown.T):
    axis.barh(range(len(shown)), share, left=left, color=COLOURS[name], label=name)
    left += share
axis.set_yticks(range(len(shown)), [entry["file"].removesuffix(".wav") for entry in others[:16]], fontsize=7)
axis.invert_yaxis()
axis.set(xlabel="probability", title="One voice: the probability of each label")
figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
plt.show()

# %% [markdown]
# ## 3. Test it
#
# `evaluate` takes a list of labelled recordings of other voices. Recordings that were enrolled are left out.

# %%
with Path("more.csv").open("w", newline="") as file:
    writer = csv.DictWriter(file, ["file", "emotion", "speaker"], extrasaction="ignore")
    writer.writeheader()
    writer.writerows(others)
result = model.evaluate(recordings.labelled("more.csv"))
print(evaluation.as_text(result))

# %%
xr.DataArray(
    (100 * result.confusion / result.confusion.sum(axis=1, keepdims=True)).round(1),
    dims=("true", "taken for"),
    coords={"true": list(result.classes), "taken for": list(result.classes)},
).to_pandas()

# %% [markdown]
# ## 4. How many to label
#
# `TransferClassifier` is the same on arrays, a scikit-learn estimator. Below: the recall on other voices against the
# number of voices that are labelled, each number drawn at random.

# %%
with Path("all.csv").open("w", newline="") as file:
    writer = csv.DictWriter(file, listed[0])
    writer.writeheader()
    writer.writerows(listed)
manifest = siamese_jax.read_manifest("all.csv")
table = siamese_jax.extract(manifest, folder / "all.npz", siamese_jax.interspeech_2009(), Options(2, strict=False))
take = np.array([name.rpartition("_")[2] for name in table.clip])
draws = np.random.default_rng(1)
numbers = (1, 2, 4, 6)
recalls = np.zeros((len(numbers), N_DRAWS))
for i, n_voices in enumerate(numbers):
    for draw in range(N_DRAWS):
        voices = draws.choice(np.unique(table.speaker), n_voices, replace=False)
        few, rest = np.isin(table.speaker, voices) & (take == "1"), ~np.isin(table.speaker, voices)
        classifier = siamese_jax.TransferClassifier(c=0.1).fit(table.features[few], table.emotion[few])
        right = classifier.predict(table.features[rest]) == table.emotion[rest]
        recalls[i, draw] = 100 * np.mean([right[table.emotion[rest] == name].mean() for name in MANNERS])

# %%
figure, axis = plt.subplots(figsize=(5, 3.2), layout="constrained")
axis.plot(numbers, recalls, color="0.7", linewidth=0.6)
axis.plot(numbers, recalls.mean(axis=1), color="#0072B2", marker="o", label=f"mean of {N_DRAWS} draws")
axis.axhline(25, color="black", linewidth=0.8, linestyle=":")
axis.annotate("chance", (1, 25), xytext=(0, 3), textcoords="offset points")
axis.set(xticks=numbers, xlabel="voices with four labelled recordings", ylabel="UAR (%), other voices")
axis.legend(frameon=False)
plt.show()

# %% [markdown]
# ## 5. Keep the model
#
# A model folder holds settings, weights and a card; it loads with the same bits on another machine.

# %%
model.save(folder / "mymodel")
again = siamese_jax.FewShotEmotion.load(folder / "mymodel")
print(sorted(path.name for path in (folder / "mymodel").iterdir()))
print("the same labels:", bool((again.predict(files[:16]) == labels[:16]).all()))

# %% [markdown]
# ## With your own recordings
#
# Replace the cell that makes the tones by the path of your recordings, and take `source="emodb"`. Speakers matter:
# enrol two or more, and test on others. For draws, intervals and the paper's network on your corpus, see
# docs/usage.md: `siamese-jax extract` makes a table of it, and `siamese-jax reproduce` runs the protocol on it.
