"""Transfer methods beside the baselines: every method, adaptation and number of labelled clips on the same draws."""

import dataclasses
import functools
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import xarray as xr
from absl import logging

from siamese_jax.datasets.draws import evaluation_masks
from siamese_jax.datasets.subsets import minorities, thinned
from siamese_jax.errors import InputError
from siamese_jax.experiments.records import joined, number
from siamese_jax.experiments.run_context import Run, open_run
from siamese_jax.protocols import stages
from siamese_jax.protocols.config import Experiment
from siamese_jax.protocols.plan import Plan
from siamese_jax.protocols.transfer import settings as transfer_settings
from siamese_jax.protocols.transfer.draws import TRANSDUCTIVE_SCOPES, TransferDraws
from siamese_jax.stats import intervals, paired_tests
from siamese_jax.stats.paired_tests import PairedDifference
from siamese_jax.stats.records import within as clipped
from siamese_jax.stats.scoring import counts_by_speaker, score_counts

KIND = "transfer"
SPLIT = "speaker_disjoint"
"""Only clips of speakers that are not drawn are tested."""

BASELINE = "logistic_regression"


@dataclasses.dataclass(frozen=True)
class Setting:
    """A column of predictions: a method, with its loss or C, and what is done with its probabilities.

    Fields:
      loss: of the network's fine-tuning; "" for other methods. c: of logistic regressions; 0 for other methods.
      within, strength: of the balance; "" and 0 for the inductive.
    """

    method: str
    loss: str
    c: float
    adaptation: str
    within: str
    strength: float

    @property
    def mode(self) -> str:
        return "inductive" if self.adaptation == "none" else "transductive"

    @property
    def name(self) -> str:
        """A name that no other setting has."""
        return "/".join(map(str, dataclasses.astuple(self)))


@dataclasses.dataclass(frozen=True)
class TransferRow:
    """A setting's result on the test clips of other speakers. Scores are in per cent, gains in points.

    Fields:
      features: the feature set, and the layers of a speech encoder that were used.
      mode: inductive (one clip at a time), or transductive (the unlabelled test clips together).
      adaptation, within, strength, proportions: see `protocols.transfer`; "" and 0 for the inductive.
      thinned: the ratio of half of the classes' clips to the others'; 1 for the target as it is.
      n_labelled: labelled target clips, of n_speakers speakers. scaling: whose clips features were standardised by.
      ci_low, ci_high: over draws. speakers_low, speakers_high: over the target's speakers, draws pooled.
      baseline_c: of the better logistic regression of this cell, which the gain is against; null for that itself.
      gain_*: paired, over draws, and over speakers. p_value: of the t test over speakers; p_holm: adjusted over a run.
    """

    source: str
    target: str
    features: str
    method: str
    loss: str
    c: float
    mode: str
    adaptation: str
    within: str
    strength: float
    proportions: str
    thinned: float
    scaling: str
    split: str
    n_speakers: int
    n_labelled: int
    n_draws: int
    uar_mean: float | None
    uar_sd: float | None
    wa_mean: float | None
    ci_low: float | None
    ci_high: float | None
    speakers_low: float | None
    speakers_high: float | None
    interval: str
    baseline_c: float | None
    gain: float | None
    gain_low: float | None
    gain_high: float | None
    gain_speakers_low: float | None
    gain_speakers_high: float | None
    p_value: float | None
    p_holm: float | None
    remarks: str
    seconds: float


def run(experiment: Experiment, workdir: str | Path) -> list[TransferRow]:
    """Runs what is missing from `workdir`, and writes its results: transfer.json (rows), arrays/ (all predictions).

    Raises InputError if a table cannot be used for this protocol, or the folder holds another experiment.
    """
    if unusable := set(experiment.data.scalings) & {"train"}:
        raise InputError(f"config.data.scalings holds {min(unusable)!r}, which draws no clips; expected other scopes")
    rows: list[TransferRow] = []
    with open_run(experiment, workdir, KIND) as run:
        kept: dict[Any, Any] = {}
        for ratio, scope in itertools.product(experiment.transfer.thinned, experiment.data.scalings):
            plans = _plans(run, ratio)
            for k in experiment.protocol.n_speakers:
                parts = [_predictions(run, plan, scope, k, f"{ratio:g}_{i}", kept) for i, plan in enumerate(plans)]
                rows.extend(_rows(plans, parts, scope, k, ratio))
        adjusted = paired_tests.adjusted(np.array([np.nan if row.p_value is None else row.p_value for row in rows]))
        rows = [dataclasses.replace(row, p_holm=number(p)) for row, p in zip(rows, adjusted["holm"])]
        run.write(transfer=rows)
    return rows


def settings_of(experiment: Experiment, scope: str) -> list[Setting]:
    """Returns the settings of a scaling scope. The logistic regression has its default C and the methods'."""
    transfer, protocol = experiment.transfer, experiment.protocol
    bases: list[tuple[str, str, float]] = [(BASELINE, "", protocol.logistic_c)]
    for method in transfer.methods:
        if method == "siamese":
            bases.extend((method, loss, 0.0) for loss in protocol.losses)
        else:
            bases.append(
                (method, "", transfer.transfer_c if method in ("logistic_regression", "layer_ensemble") else 0.0)
            )
    settings = []
    for method, loss, c in dict.fromkeys(bases):
        for adaptation in transfer.adaptations:
            if adaptation == "none":
                settings.append(Setting(method, loss, c, adaptation, "", 0.0))
            elif method != "siamese" and scope in TRANSDUCTIVE_SCOPES and (method, c) != _plain(experiment):
                balances = itertools.product(transfer.balance_within, transfer.balance_strength)
                settings.extend(Setting(method, loss, c, adaptation, *balance) for balance in balances)
    return settings


def _plain(experiment: Experiment) -> tuple[str, float]:
    """The logistic regression at its default C is a baseline alone, unless that is the methods' C too."""
    transfer, protocol = experiment.transfer, experiment.protocol
    same = BASELINE in transfer.methods and protocol.logistic_c == transfer.transfer_c
    return ("", 0.0) if same else (BASELINE, protocol.logistic_c)


def _plans(run: Run, ratio: float) -> list[Plan]:
    """The plan of the target as it is, or one for each half of the classes that is thinned."""
    if ratio == 1:
        return [run.plan()]
    seed = run.experiment.protocol.seed
    targets = [thinned(run.target, half, ratio, seed) for half in minorities(len(run.experiment.data.emotions))]
    return [Plan.make(run.experiment, run.source, target) for target in targets]


def _predictions(run: Run, plan: Plan, scope: str, n_speakers: int, part: str, kept: dict[Any, Any]) -> xr.Dataset:
    """The classes [setting, draw, clip] int8 of the target's clips, stored; `seconds` [setting]."""
    n_draws = plan.experiment.protocol.n_draws

    def make() -> xr.Dataset:
        logging.info("%d labelled speakers, scaling by %s", n_speakers, scope)
        settings = settings_of(plan.experiment, scope)
        on_done = run.bars.start(f"{n_speakers} speakers ({scope}, {part})", len(settings) * n_draws)
        classes, seconds = [], []
        network = functools.cache(lambda: _network(run, plan, scope, n_speakers))
        inductive: dict[tuple[str, float], np.ndarray] = {}
        for setting in settings:
            start = perf_counter()
            if setting.method == "siamese":
                classes.append(network()[plan.experiment.protocol.losses.index(setting.loss)])
            else:
                classes.append(_classes(plan, scope, n_speakers, setting, inductive, kept))
            on_done(n_draws)
            seconds.append(perf_counter() - start)
        arrays = {"predictions": (("setting", "draw", "clip"), np.stack(classes)), "seconds": ("setting", seconds)}
        return xr.Dataset(arrays, coords={"setting": np.array([s.name for s in settings], dtype=object)})

    return run.arrays(plan, f"transfer/{scope}_{n_speakers:02d}_{part}", make)


def _classes(
    plan: Plan, scope: str, n_speakers: int, setting: Setting, inductive: dict[tuple[str, float], np.ndarray],
    kept: dict[Any, Any],
) -> np.ndarray:  # fmt: skip
    """The classes [draw, clip] int8; log-probabilities of inductive methods are kept in `inductive`."""
    key = setting.method, setting.c
    own = transfer_settings.of_config(
        plan.experiment.transfer, setting.within or "corpus", setting.strength, setting.c or 1.0
    )
    draws = TransferDraws(plan, scope, own, kept)
    if key not in inductive:
        inductive[key] = draws.inductive(setting.method, n_speakers)
    log_p_DxNxC = inductive[key]
    if setting.adaptation != "none":
        log_p_DxNxC = draws.adapted(setting.adaptation, log_p_DxNxC, n_speakers, draws.proportions(n_speakers))
    return log_p_DxNxC.argmax(axis=-1).astype(np.int8)


def _network(run: Run, plan: Plan, scope: str, n_speakers: int) -> np.ndarray:
    """The classes [loss, draw, clip] of the paper's network, fine-tuned for the last of the steps, nothing frozen."""
    head = plan.experiment.network.heads[0]
    params = stages.params_from_arrays(run.source_training(plan, head, scope))
    tuning = stages.FineTuning(plan, head, [n_speakers], run.executor)
    tuned = tuning.run(plan, n_speakers, scope, params, lambda _: None)
    return tuned.predictions.transpose("loss", "frozen", "step", "draw", "clip").values[:, 0, -1]


def _rows(
    plans: Sequence[Plan], parts: Sequence[xr.Dataset], scope: str, n_speakers: int, ratio: float
) -> Iterator[TransferRow]:
    """The rows of one cell; draws of several plans are put together."""
    experiment, settings = plans[0].experiment, settings_of(plans[0].experiment, scope)
    speakers = sorted(set().union(*(plan.target.speakers for plan in plans)))
    counts = [_counts(plan, part, n_speakers, speakers) for plan, part in zip(plans, parts)]
    counts_XxDxSxCxC = np.concatenate(counts, axis=1)
    n_draws = counts_XxDxSxCxC.shape[1]
    scored = score_counts(counts_XxDxSxCxC.sum(axis=2))
    means_X = scored.uar.mean(axis=-1)
    plain = [i for i, s in enumerate(settings) if s.method == BASELINE and s.mode == "inductive"]
    best = max(plain, key=lambda i: means_X[i])
    level = experiment.report.level
    seconds_X = sum(part.seconds.values for part in parts)
    for i, setting in enumerate(settings):
        over_draws = clipped(intervals.t_interval(scored.uar[i], level, over="draws"), 0.0, 100.0)
        pooled = counts_XxDxSxCxC[[best, i]].sum(axis=1).swapaxes(0, 1)
        over_speakers = clipped(intervals.jackknife_t_interval(pooled[:, 1], level), 0.0, 1.0)
        yield TransferRow(
            source=plans[0].source.name, target=plans[0].target.name, features=features_name(experiment),
            **dataclasses.asdict(setting), mode=setting.mode, thinned=ratio, scaling=scope, split=SPLIT,
            proportions=experiment.transfer.proportions if setting.mode == "transductive" else "",
            n_speakers=n_speakers, n_labelled=n_speakers * len(experiment.data.emotions),
            n_draws=n_draws, uar_mean=number(means_X[i]), wa_mean=number(scored.wa[i].mean()),
            uar_sd=number(scored.uar[i].std(ddof=1)) if n_draws > 1 else None,
            ci_low=number(over_draws.low), ci_high=number(over_draws.high),
            speakers_low=number(100 * np.asarray(over_speakers.low)),
            speakers_high=number(100 * np.asarray(over_speakers.high)),
            interval=f"{over_draws.label}; {over_speakers.label}",
            **_gain(scored.uar[[best, i]], pooled, level, i == best),
            baseline_c=None if i == best else settings[best].c, p_holm=None, seconds=float(seconds_X[i]),
            remarks=joined(plans[0].source_note, plans[0].draws_note(n_speakers)),
        )  # fmt: skip


def features_name(experiment: Experiment) -> str:
    """The feature set, with the layers that are used."""
    data = experiment.data
    return f"{data.features}, layers {', '.join(map(str, data.layers))}" if data.layers else data.features


def _counts(plan: Plan, part: xr.Dataset, n_speakers: int, speakers: Sequence[str]) -> np.ndarray:
    """Confusion counts [setting, draw, speaker, C, C] on the test clips, speakers in the order of `speakers`."""
    target, n_classes = plan.target, len(plan.experiment.data.emotions)
    mask = evaluation_masks(target, plan.draws.support(n_speakers))[SPLIT]
    place = {name: i for i, name in enumerate(speakers)}
    speaker_N = np.array([place[target.speakers[s]] for s in target.speaker])
    masks = np.broadcast_to(mask, part.predictions.shape)
    return counts_by_speaker(part.predictions.values, target.label, masks, speaker_N, len(speakers), n_classes)


def _gain(uar_2xD: np.ndarray, counts_Sx2xCxC: np.ndarray, level: float, itself: bool) -> dict[str, Any]:
    """The paired gain over the better logistic regression: over draws, over speakers, and the t test over speakers."""
    names = ("gain", "gain_low", "gain_high", "gain_speakers_low", "gain_speakers_high", "p_value")
    if itself:
        return dict.fromkeys(names)
    pair = PairedDifference.make(uar_2xD[1] - uar_2xD[0], counts_Sx2xCxC[None, :, ::-1])
    draws, speakers = pair.over_draws(level), pair.over_speakers(level)
    (test,), _ = paired_tests.t_tests([speakers])
    values = (
        pair.by_draw.mean(), draws.low, draws.high, 100 * np.asarray(speakers.low), 100 * np.asarray(speakers.high),
        test.p_value,
    )  # fmt: skip
    return {name: number(np.asarray(value)) for name, value in zip(names, values)}
