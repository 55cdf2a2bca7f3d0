"""FaceNet for speech (Liu et al. 2021): RAVDESS and EMO-DB, waveform and spectrogram, sized for two cores.

    siamese-jax facenet --workdir=results/facenet --audio=ravdess=FOLDER --audio=emodb=FOLDER

The comparison runs first: the waveform of the target, from scratch and after the spectrogram of the other corpus. The
rest of the matrix follows. The run writes its results after every cell. After a stop the same command resumes it.

Only the comparison: `--config.cells="('comparison',)"`. Your own recordings: `--audio=mine=clips.csv` with the columns
file, emotion, speaker. The paper's own size, which needs an accelerator: `--config.images.size=160
--config.images.fft_size=2048 --config.network.width=1.0 --config.network.depth=1.0`.

The settings of training were chosen on RAVDESS spectrograms. The networks were trained on speakers 1 to 16 and
evaluated on the 128 clips of speakers 17 to 20. Each of these speakers is also a test speaker of one fold here, so the
choice is not blind to them. The clips of speakers 21 to 24 were not used. All triplets at margin 0.5 and depth 0.4 gave
47 % unweighted average recall (UAR) after ten epochs. Semi-hard triplets at margin 0.2 and depth 1 gave 38 to 41 %
after eight epochs. With so few clips the error is about 4 points. `config.images.waveform_peak` was chosen from the
levels alone: the median peak of a segment is about 0.9 in EMO-DB, and 0.04 (sadness) to 0.27 (anger) in RAVDESS.
"""

from ml_collections import ConfigDict

from siamese_jax import load_config


def get_config() -> ConfigDict:
    """Every setting, see `siamese_jax.experiments.cross_training.config.CrossTraining` and its groups."""
    config = ConfigDict()

    config.corpora = ConfigDict()  # by name; corpora without audio are left out
    config.corpora.ravdess = _corpus(folds=6)
    config.corpora.emodb = _corpus(folds=5)
    config.target = "ravdess"  # the corpus of the comparison
    config.new_corpus = _corpus(folds=5)  # settings of a corpus that only the command line names
    config.emotions = ("anger", "happiness", "sadness", "fear")  # the classes, in order; () for all, if corpora agree
    config.views = ("waveform", "spectrogram")
    config.cells = ("comparison", "matrix")
    config.split = "speakers"  # or "random", which tests voices from the training
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
    config.network.width = 0.25  # share of the channels of Inception-ResNet-v1
    config.network.depth = 0.4  # share of its repeated blocks
    config.network.dropout = 0.4
    config.network.statistics_decay = 0.9  # of the running statistics of batch norm
    config.network.padding = "same"  # or "valid", as published
    config.network.stem_stride = 2
    config.network.convolution = "mixed"  # form of the convolutions, see models.convolution
    config.network.sums = "products"  # form of the sums over channels, see models.channels
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
    config.neighbours = 15  # number of voters for the decision "neighbours"
    config.keep_weights = True
    config.projection = "tsne"  # of the embeddings; or "pca"
    config.features = load_config("reproduce")  # Siamese network and classifiers on features, same folds
    config.features.data.scalings = ("source", "corpus")  # without and with the test clips
    config.level = 0.95  # of the intervals
    config.seed = 0  # of all random numbers
    return config


def _corpus(folds: int) -> ConfigDict:
    """One corpus: its audio, its folds, switches of its scan, and emotions to rename."""
    return ConfigDict({"audio": "", "folds": folds, "options": (), "relabel": ()})


def _learning() -> ConfigDict:
    """The training of one stage."""
    config = ConfigDict()
    config.classes_per_batch = 4
    config.segments_per_class = 16
    config.margin = 0.5  # of the triplets; see the docstring of this file
    config.mining = "all"  # triplets; or "semi-hard"
    config.learning_rate = 2e-3  # greatest rate of AdamW
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
