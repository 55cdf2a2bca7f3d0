"""Few-shot logistic regression on each layer of a speech encoder's features: a table in Markdown and a record in JSON.

    python scripts/encoder_layers.py --layers=1 --layers=2 --layers=3 --layers=1,2,3 --record=layers.json

Source and target are shipped tables by default, or tables that `siamese-jax extract --features=whisper` made, such as
those of all layers (--speech_encoder=FOLDER --layers=0,1,2,3,4). UAR in per cent on other speakers' clips, over draws
of 2, 4, 8 and 20 speakers, scaled by corpus and by speaker (both see the unlabelled test clips). Source and labelled
target clips have half of the weight each.
"""

import dataclasses

from absl import app, flags

from siamese_jax import load_config
from siamese_jax.experiments import run_context, summary
from siamese_jax.experiments.records import Row
from siamese_jax.protocols import baselines, config
from siamese_jax.protocols.plan import Plan
from siamese_jax.runtime.devices import available_cores, use_all_cores
from siamese_jax.runtime.files import write_json
from siamese_jax.runtime.provenance import VERSION

SOURCE = flags.DEFINE_string("source", "emodb", "A shipped table or a path.")
TARGET = flags.DEFINE_string("target", "ravdess", "A shipped table or a path.")
LAYERS = flags.DEFINE_multi_string(
    "layers", ["1", "2", "3", "1,2,3"], "Layers together, with commas; give it again for more."
)
SPEAKERS = flags.DEFINE_list("speakers", ["2", "4", "8", "20"], "Numbers of speakers drawn.")
DRAWS = flags.DEFINE_integer("draws", 200, "Draws of each number of speakers.", lower_bound=2)
C = flags.DEFINE_float("c", 1.0, "C of the logistic regression.")
RECORD = flags.DEFINE_string("record", None, "JSON file for the rows; none is written without it.")


def rows_of(layers: tuple[int, ...]) -> list[Row]:
    """The rows of the logistic regression on these layers."""
    given = load_config("speech_encoder")
    given.data.update({"source": SOURCE.value, "target": TARGET.value, "layers": layers})
    n_speakers = tuple(map(int, SPEAKERS.value))
    given.protocol.update({"n_speakers": n_speakers, "n_draws": DRAWS.value, "logistic_c": C.value})
    given.protocol.baselines = ("logistic_regression",)
    given.report.fixed_n_speakers = n_speakers[0]
    experiment = config.resolve(given)
    plan = Plan.make(experiment, *run_context.load(experiment))
    rows: list[Row] = []
    for scope in experiment.data.scalings:
        arrays = baselines.run(plan, scope, baselines.PARTS, lambda _: None, available_cores())
        rows += summary.baseline_rows(plan, scope, arrays)
    return [row for row in rows if row.split == "speaker_disjoint" and row.selection not in ("best", "fixed")]


def line(layers: str, scope: str, rows: list[Row]) -> str:
    """A row of the table: source only, each number of speakers, leave one speaker out."""
    of_scope = [row for row in rows if row.scaling == scope]
    few = sorted((row for row in of_scope if row.data == "source+target"), key=lambda row: row.n_speakers or 0)
    picked = [*(r for r in of_scope if r.data == "source"), *few, *(r for r in of_scope if r.data == "loso")]
    return (
        f"| {layers} | {scope} | {' | '.join(f'{r.uar_mean:.1f} [{r.ci_low:.1f}, {r.ci_high:.1f}]' for r in picked)} |"
    )


def main(_: list[str]) -> None:
    use_all_cores()
    clips = " | ".join(f"{4 * int(k)} clips" for k in SPEAKERS.value)
    print(f"| layers | scaled by | source only | {clips} | leave one speaker out |")
    print("|---" * (4 + len(SPEAKERS.value)) + "|")
    records = []
    for text in LAYERS.value:
        rows = rows_of(tuple(map(int, text.split(","))))
        records += [{"layers": text, **dataclasses.asdict(row)} for row in rows]
        for scope in ("corpus", "speaker"):
            print(line(text, scope, rows), flush=True)
    if RECORD.value:
        write_json(RECORD.value, {"version": VERSION, "source": SOURCE.value, "target": TARGET.value, "rows": records})


if __name__ == "__main__":
    app.run(main)
