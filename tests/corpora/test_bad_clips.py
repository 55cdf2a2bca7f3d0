"""One bad clip in ten thousand is named, counted and left out, whatever is wrong with it; nothing else ends."""

import errno
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from corpus_trees import LATIN_1, make_bad, noise, write_sound

from siamese_jax.corpora import adapters, containers
from siamese_jax.corpora.audio import MAX_SAMPLES, decode
from siamese_jax.corpora.check import check_manifest, format_report
from siamese_jax.corpora.manifest import Clip, Manifest, write_manifest
from siamese_jax.errors import ClipError, InputError

REPOSITORY = Path(__file__).parents[2]


def test_every_kind_of_bad_clip_is_one_finding_and_the_rest_is_used(tmp_path: Path) -> None:
    told = make_bad(tmp_path)
    write_sound(tmp_path / "good.wav")
    clips = tuple(Clip(file, f"{i}", "anger", "c_1", "c") for i, file in enumerate([*told, "good.wav"]))
    report = check_manifest(Manifest(tmp_path, clips), ("anger",), workers=2)
    assert report.counts.tolist() == [[1]]
    assert len(report.errors) == len(told)
    text = format_report(report, shown=20)
    text.encode("utf-8")
    for reason in told.values():
        assert reason in text
    for file, reason in told.items():
        with pytest.raises(ClipError) as caught:
            decode(tmp_path / file)
        assert reason in caught.value.reason
        str(caught.value).encode("utf-8")


def test_a_file_or_folder_with_a_latin_1_name_is_left_out_of_a_corpus(tmp_path: Path) -> None:
    for file in ("wav/03a01Wa.wav", "x/08a01Wa.wav", "wav/a.wav"):
        write_sound(tmp_path / file)
    (tmp_path / "x").rename(tmp_path / LATIN_1)
    (tmp_path / "wav/a.wav").rename(tmp_path / "wav" / LATIN_1)
    manifest = adapters.scan("emodb", tmp_path)
    assert [clip.name for clip in manifest] == ["03a01Wa"]
    reason = "its name is no UTF-8; rename it"
    write_manifest(tmp_path / "m.csv", manifest)
    (tmp_path / LATIN_1).joinpath("08a01Wa.wav").unlink()
    (tmp_path / "wav").rename(tmp_path / LATIN_1 / "wav")
    with pytest.raises(InputError, match=r"m\\xfcller\.wav/wav/03a01Wa\.wav: no name in UTF-8"):
        write_manifest(tmp_path / "m.csv", adapters.scan("emodb", tmp_path / LATIN_1))
    assert manifest.left_out == (("m\\xfcller.wav/08a01Wa.wav", reason), ("wav/m\\xfcller.wav", reason))


def test_a_disk_that_fails_while_a_clip_is_read_is_one_bad_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_sound(tmp_path / "a.wav")

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(containers, "declared", fail)
    with pytest.raises(ClipError, match="unreadable: Input/output error; fetch the file again"):
        decode(tmp_path / "a.wav")


@pytest.mark.parametrize("name", ["a.raw", "a", "a.wav.part", "a.txt", "a.xyz"])
def test_a_valid_wav_under_another_suffix_is_read(tmp_path: Path, name: str) -> None:
    write_sound(tmp_path / name)
    assert len(decode(tmp_path / name).samples) == 1600


def header(rate: int, channels: int, data: int, claimed: int) -> bytes:
    what = struct.pack("<IHHIIHH", 16, 1, channels, rate, rate * channels * 2, channels * 2, 16)
    return b"RIFF" + struct.pack("<I", 36 + data) + b"WAVEfmt " + what + b"data" + struct.pack("<I", claimed)


@pytest.mark.parametrize("rate", [0, 1, 7, 100, 2**31 - 1])
def test_a_header_of_1_hz_is_one_bad_clip(tmp_path: Path, rate: int) -> None:
    (tmp_path / "a.wav").write_bytes(header(rate, 1, 60000, 60000) + noise("a", 30000).tobytes())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ClipError, match="unreadable"):
        decode(tmp_path / "a.wav")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_a_flac_whose_header_claims_hours_is_one_bad_clip(tmp_path: Path) -> None:
    sound = np.random.default_rng(0).integers(-99, 99, (9000, 8)).astype(np.int16)
    soundfile.write(tmp_path / "a.flac", sound, 192000)
    content = bytearray((tmp_path / "a.flac").read_bytes())
    content[22:26] = struct.pack(">I", 2**32 - 1)
    content[21] |= 1
    (tmp_path / "a.flac").write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ClipError, match=f"too long: 7158.* samples at 16000 Hz.*expected {MAX_SAMPLES} at most"):
        decode(tmp_path / "a.flac")
    with pytest.raises(ClipError, match=r"unreadable: .* samples decoded; the file is cut short"):
        decode(tmp_path / "a.flac", 0.0, 100.0)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_samples_after_resampling_are_limited_not_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("siamese_jax.corpora.audio.MAX_SAMPLES", 16000)
    soundfile.write(tmp_path / "a.wav", noise("a", 8000), 8000)
    assert len(decode(tmp_path / "a.wav").samples) == 16000
    with pytest.raises(ClipError, match="too long: 22050 samples at 22050 Hz"):
        decode(tmp_path / "a.wav", rate=22050)
    soundfile.write(tmp_path / "a.wav", noise("a", 8001), 8000)
    with pytest.raises(ClipError, match="too long: 16002 samples at 16000 Hz"):
        decode(tmp_path / "a.wav")
    assert len(decode(tmp_path / "a.wav", 0.1, 0.9).samples) == 12800


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize("left", [0.0, 1e-4])
def test_channels_that_cancel_are_said(tmp_path: Path, subtype: str, left: float) -> None:
    sound = 0.3 * np.sin(np.arange(16000) * 0.1)
    soundfile.write(tmp_path / "a.wav", np.stack([sound, (left - 1) * sound], axis=1), 16000, subtype=subtype)
    with pytest.raises(ClipError, match="silent: the channels cancel, since one is the other inverted; keep a single"):
        decode(tmp_path / "a.wav")
    soundfile.write(tmp_path / "a.wav", np.stack([sound, 0 * sound], axis=1), 16000, subtype=subtype)
    assert len(decode(tmp_path / "a.wav").samples) == 16000


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """A folder that every user of the machine may enter; pytest's own may be private."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    for path in folder.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    shutil.rmtree(folder)


def as_nobody(code: str, folder: Path) -> str:
    """What Python prints for `code` under another user id: root may read everything."""
    drop = "import os\nif os.getuid() == 0:\n    os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
    # Everything is imported before, since the interpreter's own folder may be private.
    imports = (
        "import dataclasses, logging, sys\n"
        "from siamese_jax.corpora import adapters, check, manifest\n"
        "from siamese_jax.errors import ClipError, InputError\n"
        "import siamese_jax.corpora.audio, rich.progress, rich.live, concurrent.futures.thread\n"
    )
    command = [sys.executable, "-c", imports + drop + code, str(folder)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_clips_without_permission_are_left_out_and_a_folder_that_may_not_be_listed_is_said(
    shared_folder: Path,
) -> None:
    for file in ("wav/03a01Wa.wav", "wav/03a01Fa.wav", "shut/08a01Wa.wav", "dark/09a01Wa.wav", "wav/03a02Ta.wav"):
        write_sound(shared_folder / file)
    (shared_folder / "wav/03a01Fa.wav").chmod(0)
    (shared_folder / "dark").chmod(0o444)  # its files can be listed, but not opened
    (shared_folder / "shut").chmod(0)
    said = as_nobody(
        "found = adapters.scan('emodb', sys.argv[1])\n"
        "print(check.format_report(check.check_manifest(found, ('anger',), 2), 20))\n"
        "clip = dataclasses.replace(found.clips[0], file='shut/08a01Wa.wav')\n"
        "print(check.format_report(check.check_manifest(manifest.Manifest(found.root, (clip,)), (), 1), 20))\n",
        shared_folder,
    )
    assert "2 of 4 clips usable" in said
    assert "error: folder (1)\n  shut: cannot be listed (Permission denied)" in said
    for file in ("wav/03a01Fa.wav", "dark/09a01Wa.wav", "shut/08a01Wa.wav"):
        assert f"{file}: no permission to read it; change the permissions of the file or its folders" in said


def test_a_corpus_that_may_not_be_listed_at_all_is_said(shared_folder: Path) -> None:
    write_sound(shared_folder / "wav/03a01Wa.wav")
    (shared_folder / "wav").chmod(0)
    code = "try:\n    adapters.scan(name, sys.argv[1])\nexcept InputError as error:\n    print(name, error)\n"
    said = as_nobody("".join(f"name = {name!r}\n{code}" for name in ("emodb", "iemocap")), shared_folder)
    assert "emodb" in said
    assert "wav: cannot be listed (Permission denied)" in said
