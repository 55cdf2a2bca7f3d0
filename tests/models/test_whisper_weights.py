"""Weights of a speech encoder from a folder: equal however they are stored, and refused by name where they are bad."""

import contextlib
import json
import pickle
import shutil
import struct

import jax
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file
from whisper_folders import recipe, tensors, write_encoder

from siamese_jax.datasets import shipped
from siamese_jax.errors import InputError
from siamese_jax.models import whisper_weights

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    write_encoder("tiny", folder)
    return folder


@pytest.fixture
def folder(whole, tmp_path):
    """A copy of a whole encoder, to damage."""
    return shutil.copytree(whole, tmp_path / "encoder")


def load(folder, n_layers=2):
    return whisper_weights.load(folder, whisper_weights.read_config(folder), n_layers)


def refused(folder, message, n_layers=2):
    with pytest.raises(InputError, match=message) as caught:
        load(folder, n_layers)
    assert str(folder) in str(caught.value)
    assert len(str(caught.value)) < 600


def save(folder, changes=(), prefix="model.encoder.", **more):
    """Writes the weights with tensors changed, or left out where they are None."""
    values = {prefix + name: value for name, value in (tensors("tiny") | dict(changes)).items() if value is not None}
    save_file(values | more, folder / WEIGHTS)


def write_raw(path, header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def assert_same(params, expected):
    jax.tree.map(np.testing.assert_array_equal, params, expected)
    assert whisper_weights.digest(params) == whisper_weights.digest(expected)


def write_shards(folder, names=("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")):
    (folder / WEIGHTS).unlink(missing_ok=True)
    values = [(f"model.encoder.{name}", value) for name, value in tensors("tiny").items()]
    weight_map = {}
    for number, name in enumerate(names):
        part = dict(values[number :: len(names)])
        save_file(part, folder / name)
        weight_map |= dict.fromkeys(part, name)
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def set_config(folder, **values):
    (folder / "config.json").write_text(json.dumps(recipe.config("tiny") | values))


# Equal weights, however they are stored.


@pytest.mark.parametrize("prefix", ["encoder.", "model.encoder."])
def test_both_published_prefixes_are_read(whole, folder, prefix):
    save(folder, prefix=prefix)
    assert_same(load(folder), load(whole))


def test_shards_are_read_as_one_file(whole, folder):
    write_shards(folder)
    assert_same(load(folder), load(whole))


def test_a_folder_of_links_as_the_hub_keeps_it_is_read(whole, tmp_path):
    for name in ("config.json", WEIGHTS):
        (tmp_path / name).symlink_to(whole / name)
    assert_same(load(tmp_path), load(whole))


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float16])
def test_half_precision_is_read_as_its_own_values_in_float32(folder, dtype):
    rough = {name: value.astype(dtype) for name, value in tensors("tiny").items()}
    save(folder, rough)
    stored = load(folder)
    save(folder, {name: value.astype(np.float32) for name, value in rough.items()})
    assert_same(stored, load(folder))
    assert {leaf.dtype for leaf in jax.tree.leaves(stored)} == {np.dtype(np.float32)}


def test_tensors_of_a_decoder_or_of_a_classifier_are_not_read(whole, folder):
    others = ("model.decoder.layers.0.fc1.weight", "proj_out.weight", "projector.bias", "classifier.weight")
    save(folder, **dict.fromkeys((*others, "layer_weights"), np.full(3, np.nan, np.float32)))
    assert_same(load(folder), load(whole))


def test_fewer_layers_are_the_beginning_and_another_digest(whole):
    all_layers, first = load(whole), load(whole, 1)
    assert first.norm is None
    assert all_layers.norm is not None
    assert_same(all_layers._replace(layers=all_layers.layers[:1], norm=None), first)
    assert whisper_weights.digest(all_layers) != whisper_weights.digest(first)


def test_the_digest_is_of_each_tensor(whole):
    params = load(whole)
    leaves, tree = jax.tree.flatten(params)
    digests = {whisper_weights.digest(params)}
    for i, leaf in enumerate(leaves):
        digests.add(whisper_weights.digest(tree.unflatten([*leaves[:i], leaf + np.float32(1), *leaves[i + 1 :]])))
    assert len(digests) == 1 + len(leaves)


# Layers that are not there.


def test_a_layer_that_does_not_ship_names_the_folder_to_give():
    refused(
        shipped.speech_encoder("tiny.en"), r"holds 3 of 4 layers; layer 4 needs the whole model: give the folder", 4
    )


def test_the_encoder_that_ships_holds_the_layers_of_the_default():
    params = load(shipped.speech_encoder("tiny.en"), 3)
    assert len(params.layers) == 3
    assert params.positions.shape == (1500, 384)


# Folders of something else.


def test_a_folder_without_config(folder):
    (folder / "config.json").unlink()
    refused(folder, r"config\.json: no such file; expected a folder with config\.json and model\.safetensors")


def test_a_folder_without_weights(folder):
    (folder / WEIGHTS).unlink()
    refused(
        folder, r"model\.safetensors: no such file; expected model\.safetensors, or model\.safetensors\.index\.json"
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model_type": "wav2vec2"}, "model_type is 'wav2vec2'; expected 'whisper'"),
        ({"model_type": "x" * 5000}, "model_type is 'xxx"),
        ({"activation_function": "relu"}, "activation_function is 'relu'; expected 'gelu'"),
        ({"d_model": None}, "d_model is None; expected a positive integer"),
        ({"d_model": 24.0}, "d_model is 24.0"),
        ({"encoder_layers": 0}, "encoder_layers is 0"),
        ({"num_mel_bins": True}, "num_mel_bins is True"),
        ({"encoder_ffn_dim": 10**9}, "encoder_ffn_dim is 1000000000"),
        ({"encoder_attention_heads": 5}, "5 attention heads do not divide a d_model of 24"),
        ({"d_model": 48}, r"conv1\.weight has shape \[24, 80, 3\]; expected \[48, 80, 3\]"),
        ({"max_source_positions": 750}, r"embed_positions\.weight has shape \[1500, 24\]; expected \[750, 24\]"),
        ({"encoder_layers": 1}, r"unknown tensor 'layers\.1\.fc1\.bias' \(15 in all\)"),
    ],
)
def test_a_config_of_another_model_or_of_other_sizes(folder, values, message):
    set_config(folder, **values)
    refused(folder, message, 1)


def test_a_config_of_a_million_layers_allocates_nothing(folder):
    set_config(folder, encoder_layers=2**20)
    load(folder)
    refused(folder, "holds 2 of 1048576 layers", 2**20)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read as JSON"),
        (b"\xff\xfe", "cannot be read as JSON"),
        (b"[1]", "holds a list; expected a JSON object"),
        (b'{"d_model": 1, "d_model": 2}', "'d_model' is there twice"),
        (b'{"d_model": ' + b"9" * 10000 + b"}", "cannot be read as JSON"),
        (b'{"a":' * 200000, "cannot be read as JSON"),
        (b" " * (2**20 + 1), "expected at most 1048576 bytes"),
    ],
    ids=["empty", "not_utf8", "a_list", "doubled", "a_huge_number", "nested", "huge"],
)
def test_a_config_that_is_no_small_json_object(folder, content, message):
    (folder / "config.json").write_bytes(content)
    refused(folder, message)


def test_a_decoder_alone(folder):
    save_file({"model.decoder.layers.0.fc1.weight": np.zeros(3, np.float32)}, folder / WEIGHTS)
    refused(folder, r"no tensor begins with model\.encoder\. or encoder\.; give the folder of a whole model")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "tiny.en.pt", "model.ckpt", "weights.pkl"])
def test_a_pickle_is_refused_with_the_way_to_convert_it(folder, name):
    (folder / WEIGHTS).rename(folder / name)
    refused(folder, rf"{name}: a pickle .*from_pretrained\('.*encoder'\)\.save_pretrained\('NEW_FOLDER'\)")


# Tensors that are wrong.


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers.1.fc1.bias": None}, r"no tensor 'layers\.1\.fc1\.bias' \(1 missing\)"),
        ({"layers.0.fc1.weight": None}, r"no tensor 'layers\.0\.fc1\.weight'"),
        ({"embed_positions.weight": None}, r"no tensor 'embed_positions\.weight'"),
        ({"layer_norm.bias": None}, r"no tensor 'layer_norm\.bias'"),
        ({"layers.0.self_attn.k_proj.bias": np.zeros(24, np.float32)}, r"unknown tensor 'layers\.0\.self_attn\.k_proj"),
        ({"layers.00.fc1.bias": np.zeros(40, np.float32)}, r"unknown tensor 'layers\.00\.fc1\.bias'"),
        ({"layers.99999999999999.fc1.bias": np.zeros(40, np.float32)}, "unknown tensor 'layers.9999"),
        ({"adapter": np.zeros(4, np.float32)}, "unknown tensor 'adapter'"),
        (
            {"layers.1.fc2.weight": np.zeros((40, 24), np.float32)},
            r"fc2\.weight has shape \[40, 24\]; expected \[24, 40",
        ),
        ({"conv1.bias": np.zeros(0, np.float32)}, r"conv1\.bias has shape \[0\]; expected \[24\]"),
        ({"conv1.bias": np.full(24, np.nan, np.float32)}, r"conv1\.bias holds values that are not finite"),
        ({"conv1.bias": np.full(24, np.inf, np.float16)}, r"conv1\.bias holds values that are not finite"),
        ({"conv1.bias": np.full(24, 1e300)}, r"conv1\.bias holds values that are not finite"),
        ({"conv1.bias": np.zeros(24, np.int32)}, r"conv1\.bias is I32; expected one of F16, BF16, F32, F64"),
        ({"conv1.bias": np.zeros(24, bool)}, r"conv1\.bias is BOOL"),
    ],
)
def test_a_tensor_that_is_missing_unknown_misshapen_not_finite_or_not_of_floats(folder, changes, message):
    save(folder, changes)
    refused(folder, message)


def test_eight_bit_floats_are_named(folder):
    save(folder, {"conv1.bias": None})
    data, name = (folder / WEIGHTS).read_bytes(), "model.encoder.conv1.bias"
    length = struct.unpack("<Q", data[:8])[0]
    header, end = json.loads(data[8 : 8 + length]), len(data) - 8 - length
    header[name] = {"dtype": "F8_E4M3", "shape": [24], "data_offsets": [end, end + 24]}
    write_raw(folder / WEIGHTS, header, data[8 + length :] + bytes(24))
    refused(folder, r"conv1\.bias is F8_E4M3")


def test_an_unknown_tensor_outside_the_encoder(folder):
    save(folder, **{"feature_extractor.weight": np.zeros(3, np.float32)})
    refused(folder, r"unknown tensor 'feature_extractor\.weight'; expected names in model\.encoder\., encoder\.")


def test_a_tensor_that_is_there_twice_under_both_prefixes(folder):
    save(folder, **{"encoder.conv1.bias": np.zeros(24, np.float32)})
    refused(folder, r"tensor 'conv1\.bias' is there twice")


def test_a_tensor_that_is_there_twice_in_one_header(folder):
    entry = b'"model.encoder.conv1.bias":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
    write_raw(folder / WEIGHTS, b"{" + entry + b"," + entry + b"}", bytes(4))
    refused(folder, r"conv1\.bias' is there twice")


def test_a_tensor_that_is_there_twice_in_two_shards(folder):
    write_shards(folder)
    shutil.copy(folder / "model-00001-of-00002.safetensors", folder / "model-00002-of-00002.safetensors")
    refused(folder, "model-00002-of-00002.safetensors: tensor '.*' is there twice")


# Files that are damaged.


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "does not fit into 0 bytes; the file is empty"),
        (b"\x08", "does not fit into 1 bytes"),
        (struct.pack("<Q", 0) + b"{}", "does not fit"),
        (struct.pack("<Q", 3) + b"{}", "does not fit into 10 bytes"),
        (struct.pack("<Q", 2**63) + b"{}", "does not fit"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
        (pickle.dumps({"conv1.weight": [0.0] * 9}, protocol=2), "does not fit"),
        (struct.pack("<Q", 2) + b"[]", "holds a list"),
        (struct.pack("<Q", 2) + b"{}", "no tensor begins with"),
        (struct.pack("<Q", 10**6) + b'{"a":' * 200000, "cannot be read as JSON"),
        (struct.pack("<Q", 2**24 + 1) + b" " * (2**24 + 1), "a header of 16777217 bytes; expected at most"),
    ],
    ids=[
        "empty", "one_byte", "no_header", "header_longer_than_the_file", "header_of_exabytes", "pointer", "pickle",
        "a_list", "no_tensors", "nested", "huge_header",
    ],
)  # fmt: skip
def test_a_file_that_is_not_safetensors(folder, content, message):
    (folder / WEIGHTS).write_bytes(content)
    refused(folder, message)


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 2**40]},
        {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]},
        {"dtype": "what", "shape": [1], "data_offsets": [0, 4]},
        {"shape": [1]},
        None,
    ],
)
def test_a_header_that_does_not_fit_its_data(folder, entry):
    write_raw(folder / WEIGHTS, {"model.encoder.conv1.bias": entry}, bytes(4))
    refused(folder, "not a whole safetensors file")


def test_a_file_that_is_cut_short(folder):
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[:-4])
    refused(folder, "not a whole safetensors file .*; fetch it again")


@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(4))
def test_no_mutated_file_is_misread_or_ends_in_a_traceback(whole, folder, seed):
    rng = np.random.default_rng(seed)
    data = (whole / WEIGHTS).read_bytes()
    expected, begin = load(whole), struct.unpack("<Q", data[:8])[0] + 8
    for _ in range(100):
        damaged = bytearray(data)
        for place in rng.integers(0, begin, rng.integers(1, 4)):
            damaged[place] = rng.integers(0, 256)
        (folder / WEIGHTS).write_bytes(damaged[: rng.integers(len(data)) if rng.random() < 0.2 else None])
        with contextlib.suppress(InputError):
            assert_same(load(folder), expected)


# Shards.


@pytest.mark.parametrize(
    "name",
    [
        "../encoder/model.safetensors", "/etc/model.safetensors", "sub/model.safetensors", "..", "", ".safetensors",
        "a\\b.safetensors", "a\0.safetensors", "\ud800.safetensors", "x" * 300 + ".safetensors", "model.bin",
        None, 3, ["model.safetensors"], {"a": 1},
    ],
)  # fmt: skip
def test_a_shard_that_is_no_name_of_a_file_in_the_folder(folder, name):
    write_shards(folder)
    index = json.loads((folder / INDEX).read_text())
    index["weight_map"]["model.encoder.conv1.bias"] = name
    (folder / INDEX).write_text(json.dumps(index))
    refused(folder, r"index\.json: shard .*; expected the name of a \.safetensors file in the same folder")


@pytest.mark.parametrize("damage", ["missing", "a broken link", "a folder"])
def test_a_shard_that_is_not_there(folder, damage):
    write_shards(folder)
    shard = folder / "model-00002-of-00002.safetensors"
    shard.unlink()
    if damage == "a broken link":
        shard.symlink_to(folder / "nothing")
    elif damage == "a folder":
        shard.mkdir()
    refused(folder, r"model-00002-of-00002\.safetensors: no such file; model\.safetensors\.index\.json names it")


@pytest.mark.parametrize("content", ["{}", '{"weight_map": []}', '{"weight_map": {}}', '{"weight_map": "model"}'])
def test_an_index_without_a_weight_map(folder, content):
    (folder / WEIGHTS).unlink()
    (folder / INDEX).write_text(content)
    refused(folder, r"index\.json: no weight_map; expected a file name for each tensor")


def test_a_huge_index(folder):
    (folder / WEIGHTS).unlink()
    (folder / INDEX).write_bytes(b" " * (2**24 + 1))
    refused(folder, "expected at most 16777216 bytes")
