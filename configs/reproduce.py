"""Table 1 and Figure 2 of Feng & Chaspari 2020 on the tables that ship: EMO-DB to RAVDESS, in the default scope.

    python -m launch.reproduce --workdir=results/reproduce

One source, one scaling, one head, three losses, 10 draws, 10 seeds. The other configurations start from this one.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """Every knob, see `siamese_jax.protocols.config.Experiment`."""
    return ConfigDict(
        {
            "source": "emodb",
            "source_corpus": "",
            "source_companion": "",
            "target": "ravdess",
            "target_corpus": "",
            "target_companion": "",
            "emotions": ("anger", "happiness", "sadness", "fear"),
            "scalings": ("corpus",),
            "scale_floor": 1e-3,
            "encoder_widths": (64, 32, 16),
            "heads": ("abs_difference",),
            "head_width": 16,
            "losses": ("none", "ratio", "cross_entropy_twice"),
            "frozen": (0, 1, 2),
            "n_speakers": (2, 4, 6, 8, 10, 12, 14, 16, 18, 20),
            "steps": (0, 10, 20, 50, 100, 200),
            "n_draws": 10,
            "n_seeds": 10,
            "n_in_domain_seeds": 10,
            "source_steps": 1000,
            "in_domain_steps": 1000,
            "batch_size": 32,
            "learning_rate": 5e-4,
            "second_learning_rate": 5e-4,
            "clip_norm": 1.0,
            "pair_weighting": "balanced",
            "pairs_within": "any",
            "pooling": "mean_log",
            "pad_speakers": 4,
            "fixed_frozen": 0,
            "fixed_n_speakers": 4,
            "fixed_steps": 50,
            "alternatives": ("logistic_regression", "svm"),
            "level": 0.95,
            "seed": 0,
        }
    )
