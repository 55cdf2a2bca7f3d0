# %% [markdown]
# # Eight labelled clips: every transfer method, balanced or not
#
# A model goes from EMO-DB to RAVDESS with one labelled clip of each of four emotions from each of two speakers. The
# features are those of a frozen speech encoder (Whisper tiny.en), from the tables that ship. Clips of speakers who are
# not drawn are tested. The numbers are UAR, the unweighted average recall, in per cent.
#
# *Inductive* methods label one clip at a time. *Transductive* ones label all unlabelled test clips together:
#
# - **balanced**: the class proportions of the unlabelled clips are pulled to uniform ones, over the corpus or within
#   each speaker. At strength 1 the proportions hold exactly.
# - **self-trained**: a linear discriminant is trained on the balanced pseudo-labels, with the covariance of the target.
#
# RAVDESS is balanced within each speaker, so strength 1 is right here. The last part shows a target that is not.

# %%
import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import siamese_jax
from siamese_jax.experiments import transfer
from siamese_jax.protocols import config
from siamese_jax.report.paper import transfer as report
from siamese_jax.report.render.notebook import Markdown

siamese_jax.use_all_cores()
plt.rcParams.update({"font.size": 9, "figure.dpi": 90})

DRAWS = int(os.environ.get("NOTEBOOK_DRAWS", 100))
WORKDIR = Path(tempfile.mkdtemp())


def run(name, **changes):
    given = siamese_jax.load_config("transfer")
    given.protocol.n_speakers = (2,)
    given.protocol.n_draws = DRAWS
    given.report.fixed_n_speakers = 2
    for field, value in changes.items():
        given.transfer[field] = value
    return transfer.run(config.resolve(given), WORKDIR / name)


# %% [markdown]
# ## Every method
#
# The bars are means over draws; the lines are 95 % jackknife t intervals over the target's speakers.

# %%
rows = run("methods", methods=("siamese", "logistic_regression", "layer_ensemble", "adapted_discriminant"))
shown_rows = [row for row in rows if row.method != "layer_ensemble" or row.mode == "inductive"]
fig, axes = plt.subplots(1, 2, figsize=(10, 0.15 * len(shown_rows) + 1.2), sharex=True, sharey=True)
for axis, scaling in zip(axes, ("corpus", "speaker")):
    shown = [row for row in shown_rows if row.scaling == scaling][::-1]
    names = [report.name_of(row).replace(", uniform within each", " within each") for row in shown]
    mean = np.array([row.uar_mean for row in shown])
    low, high = (np.array([getattr(row, f"speakers_{end}") for row in shown], float) for end in ("low", "high"))
    colours = ["#7a8ca3" if row.mode == "inductive" else "#c26b3a" for row in shown]
    axis.barh(names, mean, color=colours, xerr=np.abs([mean - low, high - mean]), error_kw={"lw": 1})
    axis.set_title(f"features scaled by {scaling}")
    axis.set_xlabel("UAR, per cent")
    axis.tick_params(axis="y", labelsize=7)
    axis.set_xlim(25, 100)
fig.suptitle(f"8 labelled clips, {DRAWS} draws (grey: inductive, orange: transductive)")
fig.tight_layout()
plt.show()

# %%
Markdown(report.markdown(shown_rows))

# %% [markdown]
# ## Where the proportions are wrong
#
# Two of the four emotions are thinned to a half, a fifth and a tenth of their clips, in turn for every pair. The
# balance still assumes uniform proportions. A soft balance loses little or nothing; a hard one loses much.

# %%
RATIOS = (1.0, 2.0, 5.0, 10.0)
thinned = run(
    "thinned",
    methods=("logistic_regression",),
    adaptations=("none", "balanced"),
    thinned=RATIOS,
    balance_within=("speaker",),
    balance_strength=(0.3, 0.5, 0.7, 1.0),
)
fig, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True)
for axis, scaling in zip(axes, ("corpus", "speaker")):
    of_scaling = [row for row in thinned if row.scaling == scaling]
    plain = {
        ratio: max(r.uar_mean for r in of_scaling if r.thinned == ratio and r.mode == "inductive") for ratio in RATIOS
    }
    for strength, colour in zip((0.3, 0.5, 0.7, 1.0), ("#b8c4d6", "#7a8ca3", "#c26b3a", "#8c2d19")):
        gains = [
            next(r.uar_mean for r in of_scaling if (r.thinned, r.strength) == (ratio, strength)) - plain[ratio]
            for ratio in RATIOS
        ]
        axis.plot(range(len(RATIOS)), gains, marker="o", color=colour, label=f"strength {strength:g}")
    axis.axhline(0, color="black", lw=0.8)
    axis.set_xticks(range(len(RATIOS)), [f"{ratio:g} : 1" for ratio in RATIOS])
    axis.set_xlabel("ratio of the classes' clips")
    axis.set_title(f"features scaled by {scaling}")
axes[0].set_ylabel("gain over logistic regression, points")
axes[0].legend(frameon=False)
fig.tight_layout()
plt.show()
