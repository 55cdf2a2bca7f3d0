"""Table 1 and Figure 2 of Feng & Chaspari 2020 on the shipped tables: EMO-DB to RAVDESS, with the default scaling.

    siamese-jax reproduce --workdir=results/reproduce

One source, one scaling, one head, three losses, 10 draws, 10 seeds. The other configurations start from this one.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """Every setting, see `siamese_jax.protocols.config.Experiment`."""
    config = ConfigDict()

    config.data = ConfigDict()
    config.data.source = "emodb"  # a shipped table's name, or a table's path; several are separated by commas
    config.data.source_weights = ()  # of several sources, in the same order; equal if empty
    config.data.features = "is09"  # of shipped tables: the paper's 64; or "whisper", of a speech encoder
    config.data.layers = ()  # of a speech encoder's features: the layers to use; all if empty
    config.data.source_corpus = ""  # for a table of another program: the corpus of its clip names
    config.data.source_companion = ""  # for a table of another program: a CSV with emotion and speaker of its clips
    config.data.target = "ravdess"  # section 3
    config.data.target_corpus = ""
    config.data.target_companion = ""
    config.data.allow_shared_recordings = False  # a source that holds recordings of the target is refused
    config.data.emotions = ("anger", "happiness", "sadness", "fear")  # the classes, in order (section 3)
    config.data.scalings = ("corpus",)  # clips that the standardisation uses; the paper does not name them
    config.data.scale_floor = 1e-3  # least standard deviation, as a share of the corpus' standard deviation

    config.network = ConfigDict()
    config.network.encoder_widths = (64, 32, 16)  # units of each layer (section 4.1)
    config.network.heads = ("abs_difference",)  # how two embeddings become a pair's features
    config.network.head_width = 16  # units of "extra_layer"

    config.training = ConfigDict()
    config.training.source_steps = 1000  # Adam steps on the source
    config.training.in_domain_steps = 1000  # Adam steps on a fold of the target
    config.training.batch_size = 32  # clips, balanced over the classes
    config.training.learning_rate = 5e-4  # of the cross entropy
    config.training.second_learning_rate = 5e-4  # of the second update
    config.training.clip_norm = 1.0  # global norm of the ratio loss's gradient
    config.training.pair_weighting = "balanced"  # same and different pairs weigh the same
    config.training.pairs_within = "any"  # or "speaker": only pairs of one speaker's clips

    config.protocol = ConfigDict()
    config.protocol.losses = ("none", "ratio", "cross_entropy_twice")  # the second update (equation 3) and its control
    config.protocol.frozen = (0, 1, 2)  # encoder layers (section 4.1)
    config.protocol.n_speakers = (2, 4, 6, 8, 10, 12, 14, 16, 18, 20)  # target speakers drawn (section 4.1)
    config.protocol.steps = (0, 10, 20, 50, 100, 200)  # evaluation steps of the fine-tuning
    config.protocol.n_draws = 10  # random draws of labelled clips (section 4.1)
    config.protocol.n_seeds = 10  # source trainings; draw i starts from seed i mod n_seeds
    config.protocol.n_in_domain_seeds = 10  # in-domain trainings, each over all folds
    config.protocol.pooling = "mean_log"  # of similarities over a class's references
    config.protocol.pad_speakers = 4  # draws are padded to a multiple of this, so that fewer shapes compile
    config.protocol.baselines = ("logistic_regression", "svm")  # classifiers on the same draws
    config.protocol.logistic_c = 1.0  # the library's default
    config.protocol.logistic_solver = "scikit-learn"  # or "jax": all fits at once, to the minimum
    config.protocol.seed = 0  # of all random numbers

    config.transfer = ConfigDict()  # siamese-jax transfer
    config.transfer.methods = ("logistic_regression", "adapted_discriminant")
    config.transfer.adaptations = ("none", "balanced", "self_trained")  # inductive, then transductive
    config.transfer.transfer_c = 0.1  # of the methods' logistic regressions, beside protocol.logistic_c
    config.transfer.source_clips = 10.0  # target clips of a class that the source's mean counts for
    config.transfer.covariance_clips = 100.0  # clips that the source's covariance counts for
    config.transfer.shrinkage = 0.3  # share of the identity in the covariance
    config.transfer.temperature = 1.0  # factor of the discriminant's scores
    config.transfer.proportions = "uniform"  # or "labelled" (as in the labelled clips), or "anger=0.4,fear=0.6,..."
    config.transfer.balance_within = ("speaker",)  # clips whose class proportions are balanced, or "corpus"
    config.transfer.balance_strength = (0.5,)  # 1: the proportions hold exactly, 0: not at all
    config.transfer.rounds = 1  # of self-training
    config.transfer.own_source_clips = 10.0  # in self-training: target clips that the source's mean counts for
    config.transfer.unlabelled_clips = 30.0  # clips of a class that its pseudo-labelled ones count for
    config.transfer.own_covariance_clips = 100.0  # clips that the source's covariance counts for
    config.transfer.target_covariance_clips = 100.0  # clips that the target's covariance counts for
    config.transfer.own_shrinkage = 0.3
    config.transfer.own_temperature = 1.0
    config.transfer.thinned = (1.0,)  # ratios of two classes to the two others; the target's clips are thinned to them

    config.metric_network = ConfigDict()  # the transfer method of that name
    config.metric_network.components = 128  # the most principal components of the source
    config.metric_network.component_shrinkage = 1.0  # share of the mean in their variances
    config.metric_network.layer_widths = (64,)  # units of each ReLU layer
    config.metric_network.dimensions = 32  # of the embedding
    config.metric_network.members = 4  # networks of the ensemble
    config.metric_network.pretraining_steps = 300  # Adam steps on the source
    config.metric_network.joint_steps = 30  # Adam steps on source and labelled target clips
    config.metric_network.source_batch = 32  # source clips of a batch, balanced over the classes
    config.metric_network.contrastive_rate = 3e-3  # Adam's learning rate
    config.metric_network.contrastive_temperature = 0.3  # of the supervised contrastive loss
    config.metric_network.noise = 0.15  # on components, in standard deviations within classes
    config.metric_network.dropout = 0.2  # share of components and of the last layer's units
    config.metric_network.prototype_source_clips = 1.0  # target clips that the source counts for in a prototype
    config.metric_network.score_temperature = 0.05  # of similarities to prototypes

    config.report = ConfigDict()
    config.report.fixed_frozen = 0  # the cell that is reported with the best cell
    config.report.fixed_n_speakers = 4
    config.report.fixed_steps = 50
    config.report.level = 0.95  # of the intervals
    return config
