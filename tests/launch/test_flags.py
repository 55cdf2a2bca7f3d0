"""Each flag of a launcher reaches the call that it is for: launchers run in this process, with flags unlike the
defaults and their calls recorded."""

import inspect
import sys
from unittest import mock

import pytest
from absl import flags

import launch
from launch import common
from siamese_jax.corpora.manifest import COMMON_ALIASES, PAPER_EMOTIONS
from siamese_jax.datasets.extraction import Options
from siamese_jax.datasets.speech_encoder import Options as EncoderOptions
from siamese_jax.features.images import ImageConfig
from siamese_jax.features.segments import SegmentConfig
from siamese_jax.protocols.transfer.choice import ChoiceSettings
from siamese_jax.recognizer import choose as choosing
from siamese_jax.recognizer.few_shot import FewShotEmotion
from siamese_jax.runtime.distributed import WHOLE, Share

FOLDER = ["--manifest=m.csv", "--root=r"]


@pytest.fixture(autouse=True)
def _own_flags(monkeypatch):
    """Launchers define flags of one name: in a test there are absl's alone, after it those that there were before."""
    monkeypatch.setattr(common, "show", lambda text, end="": None)
    monkeypatch.setattr(sys, "argv", ["siamese-jax"])
    before, imported = dict(vars(flags.FLAGS)), _without_launchers()
    vars(flags.FLAGS).update({name: _copied(value) for name, value in before.items()})
    for name in list(flags.FLAGS):
        if not str(flags.FLAGS.find_module_defining_flag(name)).startswith("absl"):
            delattr(flags.FLAGS, name)
    yield
    vars(flags.FLAGS).clear()
    vars(flags.FLAGS).update(before)
    _without_launchers()
    sys.modules.update(imported)
    for name, module in imported.items():
        setattr(launch, name.removeprefix("launch."), module)


def _copied(value):
    """A copy of a dictionary of lists; other values as they are."""
    if not isinstance(value, dict):
        return value
    return {key: list(of) if isinstance(of, list) else of for key, of in value.items()}


def _without_launchers():
    """Forgets the launchers that were imported, and returns them."""
    imported = {name: module for name, module in sys.modules.items() if name.startswith("launch.") and module != common}
    for name in imported:
        del sys.modules[name]
        delattr(launch, name.removeprefix("launch."))
    return imported


@pytest.fixture
def called(monkeypatch):
    """Returns a function that replaces functions of a module by mocks and returns these."""

    def replace(place, *names):
        mocks = [mock.create_autospec(getattr(place, name)) for name in names]
        for name, stub in zip(names, mocks):
            monkeypatch.setattr(place, name, stub)
        return mocks

    return replace


def given(*arguments):
    flags.FLAGS(["siamese-jax", *arguments])


@pytest.mark.parametrize("off", ["", "no"])
def test_extract_from_a_manifest(called, off):
    from launch import extract

    (read,) = called(extract, "read_manifest")
    (encoder,) = called(extract.speech_encoder, "extractor")
    (compute,) = called(extract.extraction, "extract_share")
    compute.return_value = None
    given(
        *FOLDER, "--output=t.npz", f"--{off}aliases", f"--{off}strict", "--workers=3", "--features=whisper",
        "--speech_encoder=e", "--layers=0,2", "--loudness=-30", "--padding=30s", "--precision=bfloat16",
        "--num_processes=4", "--process_id=2",
    )  # fmt: skip
    extract.main()
    read.assert_called_once_with("m.csv", "r", None if off else COMMON_ALIASES)
    encoder.assert_called_once_with("e", EncoderOptions((0, 2), -30.0, "30s", "bfloat16"))
    table = (read.return_value, "t.npz", encoder.return_value)
    compute.assert_called_once_with(*table, Options(3, not off), Share(2, 4))


def test_extract_from_a_corpus(called):
    from launch import extract

    (scan,) = called(extract.adapters, "scan")
    (paper,) = called(extract.extractors, "interspeech_2009")
    (compute,) = called(extract.extraction, "extract_share")
    compute.return_value = None
    given("--corpus=enterface05", "--root=s", "--option=unsegmented", "--output=u.npz", "--workers=1")
    extract.main()
    scan.assert_called_once_with("enterface05", "s", unsegmented=True)
    compute.assert_called_once_with(scan.return_value, "u.npz", paper.return_value, Options(1, False), WHOLE)


def test_manifest_from_a_corpus(called):
    from launch import manifest

    (scan,) = called(manifest.adapters, "scan")
    check, _ = called(manifest, "check_manifest", "format_report")
    check.return_value = mock.Mock(errors=())
    given("--corpus=enterface05", "--root=s", "--option=unsegmented")
    assert manifest.main() == 0
    scan.assert_called_once_with("enterface05", "s", unsegmented=True)
    check.assert_called_once_with(scan.return_value, list(PAPER_EMOTIONS), mock.ANY, ())


@pytest.mark.parametrize(("errors", "off"), [((), ""), (("bad",), "no")])
def test_manifest(called, errors, off):
    from launch import manifest

    read, check, table, write = called(manifest, "read_rows", "check_manifest", "format_report", "write_manifest")
    read.return_value = "clips", "problems"
    check.return_value = mock.Mock(errors=errors)
    given(*FOLDER, "--output=n.csv", f"--{off}aliases", "--emotion=fear", "--emotion=calm", "--workers=3", "--shown=5")
    assert manifest.main() == len(errors)
    read.assert_called_once_with("m.csv", "r", None if off else COMMON_ALIASES)
    check.assert_called_once_with("clips", ["fear", "calm"], 3, "problems")
    table.assert_called_once_with(check.return_value, 5)
    write.assert_called_once_with("n.csv", "clips")


@pytest.mark.parametrize("off", ["", "no"])
def test_images(called, off):
    from launch import images

    read, choose, draw = called(images, "read_manifest", "choose_samples", "contact_sheet")
    choose.return_value = ["a sample"], []
    given(
        *FOLDER, "--output=o.png", f"--{off}aliases", "--clips=3", "--columns=5", "--rate=8000", "--size=64",
        "--seconds=2", "--hop=0.75", "--shortest=0.5", "--quiet_db=30", "--peak=0.7", "--window=0.05", "--fft=1024",
        "--low_hz=50", "--high_hz=3500", "--floor_db=-80", "--ceiling_db=-5",
    )  # fmt: skip
    images.main()
    read.assert_called_once_with("m.csv", "r", None if off else COMMON_ALIASES)
    cutting = SegmentConfig(rate=8000, seconds=2.0, hop_seconds=0.75, shortest_seconds=0.5, quiet_db=30.0)
    choose.assert_called_once_with(read.return_value, cutting, 3)
    drawing = ImageConfig(
        rate=8000, size=64, waveform_peak=0.7, window_seconds=0.05, fft_size=1024, low_hz=50.0, high_hz=3500.0,
        floor_db=-80.0, ceiling_db=-5.0,
    )  # fmt: skip
    draw.assert_called_once_with("o.png", ["a sample"], drawing, 5, "m.csv")


def test_choose(called):
    from launch import choose

    read, decide, write, _ = called(choose.choose, "read", "choose", "write", "check_output")
    (encoder,) = called(choose.speech_encoder, "extractor")
    read.return_value.__len__ = mock.Mock(return_value=9)
    given(
        "--n=4", "--output=l.csv", "--source=emodb", "--emotions=fear, calm", "--c=0.7", "--components=6",
        "--ridge=0.3", "--sure=0.6", "--scale_floor=0.02", "--strict", "--workers=3",
    )  # fmt: skip
    choose.main(["folder"])
    read.assert_called_once_with("folder", True)
    how = ChoiceSettings(components=6, ridge=0.3, sure=0.6)
    options = choosing.Options(
        n=4, source="emodb", emotions=("fear", "calm"), c=0.7, scale_floor=0.02, choice=how
    )  # fmt: skip
    decide.assert_called_once_with(read.return_value, encoder.return_value, options, Options(3, True))
    write.assert_called_once_with("l.csv", decide.return_value, read.return_value.root)


def test_enrol(called, monkeypatch):
    from launch import enrol

    (read,) = called(enrol.recordings, "labelled")
    recognizer = mock.Mock()
    make = mock.Mock(return_value=recognizer)
    model = recognizer.model
    model.enrolled.x, model.classes, model.sources = [0.0], ("anger",), ()
    monkeypatch.setattr(enrol, "FewShotEmotion", make)
    given(
        "--output=model", "--source=ravdess", "--method=siamese", "--adaptation=none", "--c=0.7", "--loss=ratio",
        "--seed=8", "--aliases", "--strict", "--workers=3",
    )  # fmt: skip
    enrol.main(["folder"])
    read.assert_called_once_with("folder", True)
    given_to = inspect.signature(FewShotEmotion).bind(*make.call_args.args, **make.call_args.kwargs).arguments
    assert given_to == {
        "source": "ravdess", "method": "siamese", "adaptation": "none", "c": 0.7, "loss": "ratio", "seed": 8,
        "strict": True, "workers": 3,
    }  # fmt: skip
    recognizer.fit_manifest.assert_called_once_with(read.return_value)
    recognizer.fit_manifest.return_value.save.assert_called_once_with("model")


def test_evaluate(called):
    from launch import evaluate

    (read,) = called(evaluate.recordings, "labelled")
    (load,) = called(evaluate.FewShotEmotion, "load")
    called(evaluate.evaluation, "as_text", "as_json")
    (write,) = called(evaluate, "write_json")
    given("--model=m", "--mode=folder", "--stated_error=0.3", "--output=o.json", "--aliases", "--strict", "--workers=3")
    evaluate.main(["folder"])
    read.assert_called_once_with("folder", True)
    load.assert_called_once_with("m", 3, True)
    load.return_value.evaluate.assert_called_once_with(read.return_value, "folder", 0.3)
    write.assert_called_once_with("o.json", evaluate.evaluation.as_json.return_value)


def test_predict(called):
    from launch import predict

    (read,) = called(predict.recordings, "given")
    listed, cut = called(predict.segment_lists, "read_segments", "cut")
    (load,) = called(predict.FewShotEmotion, "load")
    check, write_page = called(predict.page, "check", "write")
    (write,) = called(predict.prediction_files, "write")
    called(predict, "card", "notices")
    called(predict.terminal, "table")
    predict.notices.return_value, cut.return_value.left_out = [], []
    label = load.return_value.label
    label.return_value = iter([mock.Mock()])
    given(
        "--model=m", "--mode=folder", "--stated_error=0.3", "--output=o.csv", "--page=p.html", "--sound=none",
        "--segments=s.csv", "--strict", "--workers=3",
    )  # fmt: skip
    predict.main(["a", "b"])
    read.assert_called_once_with(["a", "b"])
    listed.assert_called_once_with("s.csv", read.return_value.root)
    cut.assert_called_once_with(read.return_value, listed.return_value, True)
    load.assert_called_once_with("m", 3, True)
    label.assert_called_once_with(cut.return_value, "folder", 0.3)
    check.assert_called_once_with("p.html", "none")
    write.assert_called_once_with("o.csv", mock.ANY, load.return_value.model.classes)
    write_page.assert_called_once_with("p.html", mock.ANY, "none")


def test_sources(called):
    from launch import sources

    read, compare = called(sources.source_effect, "read_all", "compare")
    compare.return_value = {}
    given("--head=h", "--scaling=speaker", "--loss=ratio", "--steps=7", "--level=0.8")
    sources.main(["a", "b"])
    read.assert_called_once_with(["a", "b"], head="h", scope="speaker", loss="ratio", steps=7)
    compare.assert_called_once_with(read.return_value, 0.8)


@pytest.mark.parametrize(
    ("arguments", "name", "expected"),
    [
        ([], "rerun", {"n_draws": 70, "n_baseline_draws": 30}),
        (["--protocol=in_domain"], "retrain", {"protocol": "in_domain", "n_trainings": 70}),
        (["--crossed"], "crossed", {}),
    ],
)
def test_rerun(called, arguments, name, expected):
    from launch import rerun

    runs = {name: called(getattr(rerun, name), "run")[0] for name in ("rerun", "retrain", "crossed")}
    (resolve,) = called(rerun.config, "resolve")
    show, last = called(rerun.results, "write", "last_line")
    show.return_value = last.return_value = ""
    given("--workdir=w", "--draws=70", "--baseline_draws=30", *arguments)
    rerun.main()
    assert [run for run in runs if runs[run].called] == [name]
    runs[name].assert_called_once_with(resolve.return_value, "w", **expected)
    show.assert_called_once_with("w")


@pytest.mark.parametrize("target", [[], ["--config.target=emodb"]])
def test_facenet(called, monkeypatch, target):
    monkeypatch.setattr(sys, "argv", ["siamese-jax", *target])
    from launch import facenet

    with_audio, resolve = called(facenet.config, "with_audio", "resolve")
    (run,) = called(facenet.run, "run")
    called(facenet.report, "short")[0].return_value = ""
    given("--workdir=w", "--cache=c", "--audio=emodb=x", "--audio=ravdess=y", *target)
    facenet.main()
    with_audio.assert_called_once_with(facenet.CONFIG.value, ["emodb=x", "ravdess=y"], keep_target=bool(target))
    resolve.assert_called_once_with(with_audio.return_value)
    run.assert_called_once_with(resolve.return_value, "w", "c", facenet.report.write)


def test_calibration(called):
    from launch import calibration

    (run,) = called(calibration.calibration, "run")
    (write,) = called(calibration.report, "write")
    given(
        "--output=o", "--corpora=ravdess,emodb", "--methods=adapted_discriminant/0.5/balanced/0.25/speaker",
        "--speakers=2,4,8", "--most_speakers=8,4", "--draws=9", "--scalings=support",
    )  # fmt: skip
    calibration.main()
    experiments, recipes = run.call_args.args
    found = [
        (e.data.source, e.data.target, e.protocol.n_speakers, e.protocol.n_draws, e.data.scalings, e.data.layers)
        for e in experiments
    ]
    # The most speakers are of each corpus as the target.
    assert found == [
        ("ravdess", "emodb", (2, 4), 9, ("support",), ()),
        ("emodb", "ravdess", (2, 4, 8), 9, ("support",), ()),
    ]
    assert recipes == [calibration.Recipe("adapted_discriminant", 0.5, "balanced", 0.25, "speaker")]
    write.assert_called_once_with(run.return_value, "o")


def test_report(called):
    from launch import report

    (write,) = called(report.page, "write")
    write.return_value.pictures.return_value = []
    given("--output=my page.html")
    report.main(["a", "b"])
    write.assert_called_once_with(["a", "b"], "my page.html", mock.ANY)
    assert write.call_args.args[2] == ["siamese-jax", "report", "a", "b", "--output=my page.html"]
