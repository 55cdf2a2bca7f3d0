"""FaceNet for speech (Liu et al. 2021): RAVDESS and EMO-DB, waveform and spectrogram, sized for two cores.

    siamese-jax facenet --workdir=results/facenet --audio=ravdess=FOLDER --audio=emodb=FOLDER

The comparison comes first: the waveform of the target, from scratch and after the spectrogram of the other corpus; then
the rest of the matrix. Stop it whenever you like: it writes its results after every cell, and resumes.
Only the comparison: `--config.cells="('comparison',)"`. Your own recordings: `--audio=mine=clips.csv`, columns file,
emotion, speaker. The paper's own size: `--config.images.size=160 --config.images.fft_size=2048
--config.network.width=1.0 --config.network.depth=1.0` and an accelerator.

How a network learns was chosen on RAVDESS spectrograms: trained on speakers 1 to 16, judged on the 128 clips of
speakers 17 to 20. Each of them is also a test speaker of one fold here, so that the choice is not blind to them; 21
to 24 were not looked at. All triplets at margin 0.5 and depth 0.4 told 47 % of those clips apart after ten epochs
(unweighted average recall), semi-hard ones at margin 0.2 and depth 1 38 to 41 % after eight; so few clips leave an
error of about 4 points. `waveform_peak` was set from the levels alone: the median peak of a segment is about 0.9 in
EMO-DB, and from 0.04 (sadness) to 0.27 (anger) in RAVDESS.
"""

from ml_collections import ConfigDict

from siamese_jax import load_config


def get_config() -> ConfigDict:
    """Every knob, see `siamese_jax.experiments.cross_training.config.CrossTraining` and the records that it holds."""
    config = ConfigDict()

    config.corpora = ConfigDict()  # by name; those without audio take no part
    config.corpora.ravdess = _corpus(folds=6)
    config.corpora.emodb = _corpus(folds=5)
    config.target = "ravdess"  # the corpus of the comparison
    config.new_corpus = _corpus(folds=5)  # of a corpus that is named on the command line alone
    config.emotions = ("anger", "happiness", "sadness", "fear")  # the classes, in order; () for all, where they agree
    config.views = ("waveform", "spectrogram")
    config.cells = ("comparison", "matrix")
    config.split = "speakers"  # or "random", which tests voices that were trained on
    config.strict = False  # stop at the first clip that cannot be used

    config.segments = ConfigDict()
    config.segments.rate = 16000  # Hz
    config.segments.seconds = 1.0  # of a segment
    config.segments.hop_seconds = 0.5  # from segment to segment
    config.segments.shortest_seconds = 0.25  # a shorter clip is left out
    config.segments.quiet_db = 25.0  # segments this far below their clip's loudest are left out

    config.images = ConfigDict()
    config.images.rate = 16000  # Hz
    config.images.size = 64  # pixels a side; 160 in the paper
    config.images.waveform_peak = 0.5  # amplitude at the waveform's top row
    config.images.window_seconds = 0.025  # of the spectrogram
    config.images.fft_size = 1024  # points of the transform
    config.images.low_hz = 0.0  # of the mel bands
    config.images.high_hz = 8000.0
    config.images.floor_db = -100.0  # black, relative to a full-scale sine
    config.images.ceiling_db = -10.0  # white

    config.network = ConfigDict()
    config.network.channels = 1  # of an image
    config.network.embedding = 128  # dimensions of the unit sphere
    config.network.width = 0.25  # share of Inception-ResNet-v1's channels
    config.network.depth = 0.4  # share of its repeated blocks
    config.network.dropout = 0.4
    config.network.statistics_decay = 0.9  # of batch norm's running statistics
    config.network.padding = "same"  # or "valid", as published
    config.network.stem_stride = 2
    config.network.convolution = "mixed"  # how convolutions are computed, see models.convolution
    config.network.sums = "products"  # how channels are summed, see models.channels
    config.network.dtype = "float32"

    config.augment = ConfigDict()
    config.augment.shift = 0.1  # largest shift in time, as a share of a segment
    config.augment.noise_share = 0.3  # of the segments
    config.augment.noise_low_db = 10.0  # signal-to-noise ratio
    config.augment.noise_high_db = 30.0
    config.augment.time_masks = 1
    config.augment.time_width = 0.2  # share of an image
    config.augment.frequency_masks = 1
    config.augment.frequency_width = 0.2

    config.pretraining = _learning()
    config.fine_tuning = _learning()
    config.decision = "centroid"  # of an utterance, see models.embedding_classifiers
    config.neighbours = 15  # that vote, for the decision "neighbours"
    config.keep_weights = True
    config.projection = "tsne"  # of the embeddings; or "pca"
    config.features = load_config("reproduce")  # the Siamese network and classifiers on 64 features, on the same folds
    config.features.data.scalings = ("source", "corpus")  # without and with a look at the test clips
    config.level = 0.95  # of the intervals
    config.seed = 0  # of all random numbers
    return config


def _corpus(folds: int) -> ConfigDict:
    """One corpus: its audio, its folds, switches of its scan, and emotions to be read as others."""
    return ConfigDict({"audio": "", "folds": folds, "options": (), "relabel": ()})


def _learning() -> ConfigDict:
    """How one stage learns."""
    config = ConfigDict()
    config.classes_per_batch = 4
    config.segments_per_class = 16
    config.margin = 0.5  # of the triplets; chosen as said above
    config.mining = "all"  # triplets; or "semi-hard"
    config.learning_rate = 2e-3  # AdamW's greatest
    config.weight_decay = 1e-4
    config.clip_norm = 1.0  # global norm of the gradient
    config.warmup = 1.0  # epochs
    config.schedule = "cosine"  # or "constant"
    config.epochs = 10
    config.patience = 10  # epochs without a better validation score
    config.validation_segments = 1024
    config.embed_batch = 256  # images
    config.devices = 1
    config.frozen = ()  # beginnings of the names of modules
    return config
