"""Embeddings of the target's clips before and after fine-tuning, of one example trial, in two dimensions."""

import functools
import hashlib
import json
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from siamese_jax.losses import pair_masks
from siamese_jax.models import siamese, similarity
from siamese_jax.models.siamese import Params
from siamese_jax.protocols import stages
from siamese_jax.protocols.plan import Plan
from siamese_jax.protocols.trials import ProtocolSpec
from siamese_jax.report.loading.reproduction import Loaded, Setting
from siamese_jax.report.loading.workdir import cached
from siamese_jax.report.paper.figure2 import SHORT_NAMES
from siamese_jax.report.render import figures, text
from siamese_jax.report.render.document import Block, Gallery, Paragraph, Picture, Section
from siamese_jax.report.sections.per_setting import each_setting
from siamese_jax.training import siamese as training

DRAW = 0  # the draw that serves as the example


def section(runs: list[Loaded]) -> Section:
    """The example trial of each setting, a panel for each state of the network."""
    blocks = each_setting(
        runs, _blocks, lambda run: run.missing_source and f"no embeddings, since {run.missing_source}"
    )
    return Section("Embeddings before and after fine-tuning", blocks)


def _blocks(run: Loaded, setting: Setting, number: str) -> Iterator[Block]:
    arrays = example(run, setting)
    yield Paragraph(
        f"One example, draw {DRAW} ({run.fixed_name}; source seed {arrays.attrs['seed']}), computed again for "
        "this report: the target's clips in the plane of their first two principal components, for each state of the "
        "network its own. One trial shows how an embedding looks, not whether a method is better."
    )
    states = arrays.state.values.tolist()
    yield Gallery([_picture(run, arrays, state, f"embedding_{number}_{state}") for state in states])


def example(run: Loaded, setting: Setting) -> xr.Dataset:
    """Returns the example trial, kept for the next report: `embedding` (state, clip, unit), `labelled` (clip) and
    `agreement` (state), the share of target clips classified as in the run itself, NaN before fine-tuning.
    """
    file = run.path / "report" / f"example_{setting.head}_{setting.scope}.nc"
    return cached(file, _fingerprint(run), lambda: _compute(run, setting))


def _fingerprint(run: Loaded) -> str:
    content = (run.path / "config.json").read_text(encoding="utf-8") + json.dumps(run.provenance, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _compute(run: Loaded, setting: Setting) -> xr.Dataset:
    assert run.source is not None
    assert run.target is not None
    losses, report = run.experiment.protocol.losses, run.experiment.report
    plan = Plan.make(run.experiment, run.source, run.target)
    seed = int(plan.seed_of_draw[DRAW])
    with run.arrays(f"{setting.head}/{setting.scope}/source") as trained:
        start: Params = jax.tree.map(lambda leaf: leaf[seed], stages.params_from_arrays(trained))
    spec, target = plan.spec(setting.head), plan.target_clips(setting.scope)
    support = plan.draws.support(report.fixed_n_speakers)[DRAW]
    by_draw = plan.support_scaling(target, setting.scope, report.fixed_n_speakers)
    x_NxF = (target.x - by_draw.shift[DRAW]) / by_draw.scale[DRAW]
    x_MxF, label_M, speaker_M = x_NxF[support], target.label[support], target.speaker[support]
    with run.fine_tuning(setting.head, setting.scope, report.fixed_n_speakers) as arrays:
        cell = arrays.predictions.sel(frozen=report.fixed_frozen, step=report.fixed_steps, draw=DRAW)
        predicted = {loss: cell.sel(loss=loss).values for loss in losses}
    embeddings, agreement, valid = [_encode(spec, start, x_NxF)], [np.nan], jnp.ones(len(support), bool)
    for loss in losses:
        params = fine_tune(
            spec, loss, start, x_MxF, label_M, support, speaker_M, report.fixed_frozen, report.fixed_steps
        )
        classes = similarity.classify(spec.network, params, x_NxF, x_MxF, label_M, valid, spec.n_classes, spec.pooling)
        embeddings.append(_encode(spec, params, x_NxF))
        agreement.append(float((np.asarray(classes) == predicted[loss]).mean()))
    return xr.Dataset(
        {
            "embedding": (("state", "clip", "unit"), np.stack(embeddings)),
            "labelled": ("clip", np.isin(np.arange(len(target.label)), support)),
            "agreement": ("state", np.array(agreement)),
        },
        coords={"state": ["before", *losses]},
        attrs={"seed": seed},
    )


def _encode(spec: ProtocolSpec, params: Params, x_NxF: np.ndarray) -> np.ndarray:
    return np.asarray(siamese.encode(spec.network, params["encoder"], jnp.asarray(x_NxF)))


@functools.partial(jax.jit, static_argnames=("spec", "loss"))
def fine_tune(
    spec: ProtocolSpec, loss: str, params: Params, x_MxF: jax.Array, label_M: jax.Array, clip_M: jax.Array,
    speaker_M: jax.Array, frozen: int, steps: int
) -> Params:  # fmt: skip
    """The network after `steps` fine-tuning steps on labelled clips, with `loss` after each; unbatched."""
    valid_M = jnp.ones(label_M.shape, bool)
    masks = pair_masks.pair_masks(label_M, clip_M, speaker_M, valid_M, spec.training.pairs_within)
    trainable = siamese.trainable_mask(params, jnp.asarray(frozen))

    def step(_: jax.Array, state: training.TrainState) -> training.TrainState:
        state = training.cross_entropy_step(spec.network, spec.training, state, x_MxF, masks, trainable)
        return training.second_step(spec.network, spec.training, loss, state, x_MxF, masks, trainable)

    return jax.lax.fori_loop(0, steps, step, training.init_state(params)).params


def principal_plane(x_NxD: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first two principal components [N, 2], and the share of variance along each [2]; zeros without variance."""
    centred = x_NxD.astype(np.float64) - x_NxD.mean(axis=0, dtype=np.float64)
    _, size, axes = np.linalg.svd(centred, full_matrices=False)
    axes, size = axes[:2], size**2
    if len(axes) < 2:
        axes, size = np.concatenate([axes, np.zeros((1, axes.shape[1]))]), np.append(size, 0.0)
    # The largest loading of each axis is positive, so that equal data give equal pictures.
    axes = axes * np.where(axes[np.arange(2), np.abs(axes).argmax(axis=1)] < 0, -1, 1)[:, None]
    return centred @ axes.T, size[:2] / size.sum() if size.sum() > 0 else np.zeros(2)


def _picture(run: Loaded, arrays: xr.Dataset, state: str, name: str) -> Picture:
    assert run.target is not None
    emotions, label, labelled = run.experiment.data.emotions, run.target.label, arrays.labelled.values
    plane, share = principal_plane(arrays.embedding.sel(state=state).values)
    title = "before fine-tuning" if state == "before" else f"after {SHORT_NAMES[state].removeprefix('+ ')}"

    def draw() -> figures.Figure:
        figure, axis = figures.panel(3.7)
        for c, (emotion, (color, marker)) in enumerate(zip(emotions, figures.EMOTION_STYLES)):
            for rows, size, edge, width, alpha, legend in (
                (~labelled & (label == c), 9, "none", 0.0, 0.75, emotion),
                (labelled & (label == c), 42, "black", 1.1, 1, None),
            ):
                axis.scatter(plane[rows, 0], plane[rows, 1], s=size, c=color, marker=marker, edgecolors=edge,
                             linewidths=width, alpha=alpha, label=legend)  # fmt: skip
        axis.set(xlabel=f"component 1 ({100 * share[0]:.0f} % of variance)",
                 ylabel=f"component 2 ({100 * share[1]:.0f} %)", title=title)  # fmt: skip
        figures.legend_below(figure, axis, 4, markerscale=2.2)
        return figure

    same = float(arrays.agreement.sel(state=state))
    check = f" This repetition classifies {100 * same:.1f} % of the clips as the run itself did."
    return Picture(
        name,
        figures.png(draw),
        f"Embeddings of {len(label)} target clips {title}, coloured and marked by emotion; the two components hold "
        f"{100 * share.sum():.0f} % of the variance.",
        f"{title}: n = {text.plural(len(label), 'target clip')} (embedding units); large marks with a black rim are "
        f"the {int(labelled.sum())} labelled clips.{'' if np.isnan(same) else check} One trial, no interval.",
    )
