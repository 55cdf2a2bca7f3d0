"""The network against facenet-pytorch's own answers, against float64, and against bad input."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from siamese_jax.errors import InputError
from siamese_jax.models import channels, facenet, facenet_weights
from siamese_jax.models.convolution import FORMS, compile_options, convolve

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
sys.path.insert(0, str(GOLDEN))
import facenet_recipe as recipe  # noqa: E402

PUBLISHED = facenet.FaceNetConfig(
    channels=3, embedding=512, width=1.0, depth=1.0, dropout=0.0, statistics_decay=0.9, padding="valid",
    stem_stride=2, convolution="mixed", sums="products", dtype="float32",
)  # fmt: skip
SMALL = dataclasses.replace(PUBLISHED, embedding=16, width=1 / 8, depth=0.2)
TINY = dataclasses.replace(SMALL, channels=1, embedding=4, width=1 / 8, padding="same")


def recipe_variables(config):
    shapes = jax.eval_shape(lambda key: facenet.init(key, config), jax.random.key(0))
    names = facenet_weights.export_weights(jax.tree.map(lambda s: np.zeros(s.shape, np.float32), shapes))
    arrays = {name: recipe.weight(name, value.shape) for name, value in names.items() if "num_batches" not in name}
    return facenet_weights.import_weights(arrays, config)


def jitted(function):
    return jax.jit(function, compiler_options=compile_options(jax.default_backend()))


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "facenet.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def small():
    return recipe_variables(SMALL), jnp.asarray(recipe.uniform("images", (8, 80, 80, 3)))


def trained(config, variables, images):
    """Embeddings in training mode, new statistics, and gradients in the public layout."""
    target = jnp.asarray(recipe.uniform("target", (len(images), config.embedding)))

    def score(params):
        held = {"params": params, "batch_stats": variables["batch_stats"]}
        emb, stats = facenet.embed_train(config, held, images, jax.random.key(0))
        return jnp.sum(emb * target), (emb, stats)

    grads, (emb, stats) = jitted(jax.grad(score, has_aux=True))(variables["params"])
    return emb, stats, facenet_weights.export_weights({"params": grads})


def embedded(config, variables, images):
    return jitted(lambda v, x: facenet.embed(config, v, x))(variables, images)


def check_against(answers, config, variables, images):
    np.testing.assert_allclose(embedded(config, variables, images), answers["evaluated"], atol=1e-4)
    emb, stats, grads = trained(config, variables, images)
    np.testing.assert_allclose(emb, answers["trained"], atol=1e-4)
    np.testing.assert_allclose(stats["conv2d_4b"]["bn"]["mean"], answers["running_mean"], atol=1e-4)
    np.testing.assert_allclose(stats["last_bn"]["var"], answers["running_var"], rtol=1e-4)
    lengths = [np.linalg.norm(grads[name].astype(np.float64)) for name in answers["parameters"]]
    # Rounding alone: some gradients are sums that nearly cancel, hence the absolute part.
    np.testing.assert_allclose(
        lengths, answers["gradient_lengths"], rtol=2e-3, atol=1e-4 * answers["gradient_lengths"].max()
    )


def test_the_public_implementation_gives_the_same(golden, small):
    check_against(golden, SMALL, *small)


def test_the_accelerators_forms_give_the_same(golden, small):
    config = dataclasses.replace(SMALL, convolution="lax", sums="reduce")
    np.testing.assert_allclose(embedded(config, *small), golden["evaluated"], atol=1e-4)


@pytest.mark.long
@pytest.mark.skipif(
    "SIAMESE_JAX_TORCH_PYTHON" not in os.environ, reason="SIAMESE_JAX_TORCH_PYTHON names no interpreter"
)
def test_the_public_implementation_gives_the_same_at_full_width(tmp_path):
    path = tmp_path / "full.npz"
    interpreter = os.environ["SIAMESE_JAX_TORCH_PYTHON"]
    subprocess.run([interpreter, str(GOLDEN / "make_facenet.py"), str(path), "--full"], check=True)
    with np.load(path) as answers:
        check_against(
            dict(answers),
            PUBLISHED,
            recipe_variables(PUBLISHED),
            jnp.asarray(recipe.uniform("images", (4, 160, 160, 3))),
        )


@pytest.mark.parametrize(("embedding", "total"), [(512, 23_482_624), (128, 22_793_728)])
def test_parameter_counts_are_the_published_ones(embedding, total):
    config = dataclasses.replace(PUBLISHED, embedding=embedding)
    shapes = jax.eval_shape(lambda key: facenet.init(key, config), jax.random.key(0))
    counts = facenet.parameter_counts(shapes)
    assert counts.pop("total") == total
    assert counts.pop("embedding") == 1792 * embedding + 2 * embedding
    assert counts == {
        "stem": 615_552,
        "block35": 5 * 77_440,
        "reduction_a": 1_710_080,
        "block17": 10 * 690_048,
        "reduction_b": 3_346_176,
        "block8": 6 * 1_600_768,
    }
    for name, one in (
        ("repeat_1_4", 77_440),
        ("repeat_2_9", 690_048),
        ("repeat_3_4", 1_600_768),
        ("block8", 1_600_768),
    ):
        assert sum(leaf.size for leaf in jax.tree.leaves(shapes["params"][name])) == one


def test_width_and_depth_multiply():
    assert PUBLISHED.repeats == (5, 10, 5)
    assert SMALL.repeats == (1, 2, 1)
    assert dataclasses.replace(PUBLISHED, depth=0.01).repeats == (1, 1, 1)
    shapes = jax.eval_shape(lambda key: facenet.init(key, SMALL), jax.random.key(0))
    assert shapes["params"]["conv2d_3b"]["conv"]["kernel"].shape == (1, 1, 8, 10)
    assert shapes["params"]["last_linear"]["kernel"].shape == (224, 16)


@pytest.mark.parametrize(("padding", "stem_stride", "size"), [("valid", 1, 39), ("same", 2, 8), ("same", 1, 1)])
def test_small_images_pass(padding, stem_stride, size):
    config = dataclasses.replace(TINY, padding=padding, stem_stride=stem_stride)
    variables = jax.eval_shape(lambda key: facenet.init(key, config), jax.random.key(0))
    emb = jax.eval_shape(lambda v: facenet.embed(config, v, jnp.ones((2, size, size + 3, 1))), variables)
    assert emb.shape == (2, 4)


def test_embeddings_of_the_padded_network_have_length_one():
    variables = facenet.init(jax.random.key(0), TINY)
    emb = embedded(TINY, variables, jnp.asarray(recipe.uniform("images", (3, 16, 16, 1))))
    np.testing.assert_allclose(jnp.linalg.norm(emb, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(("config", "size"), [(SMALL, 74), (dataclasses.replace(SMALL, stem_stride=1), 38)])
def test_images_below_the_smallest_are_refused(config, size):
    assert config.smallest == size + 1
    variables = jax.eval_shape(lambda key: facenet.init(key, config), jax.random.key(0))
    with pytest.raises(InputError, match=f"images are {size} x 200.*padding"):
        facenet.embed(config, variables, jnp.zeros((1, size, 200, 3)))


def test_images_with_other_channels_are_refused(small):
    with pytest.raises(InputError, match=r"images have 1 channel\(s\), the network was made for 3"):
        facenet.embed(SMALL, small[0], jnp.zeros((1, 80, 80, 1)))


@pytest.mark.parametrize(
    ("field", "value"),
    [("width", 0), ("depth", -1), ("dropout", 1.0), ("padding", "full"), ("stem_stride", 3), ("dtype", "float16"),
     ("convolution", "fft"), ("sums", "loop"), ("channels", 0), ("embedding", 0), ("statistics_decay", 1.0)],
)  # fmt: skip
def test_bad_config_values_name_their_field(field, value):
    with pytest.raises(InputError, match=rf"FaceNetConfig\.{field} = .*expected"):
        dataclasses.replace(PUBLISHED, **{field: value})


def test_mixed_precision_keeps_float32_where_it_matters(small, golden):
    config = dataclasses.replace(SMALL, dtype="bfloat16")
    variables, images = small
    outputs = jax.eval_shape(lambda v, key: facenet.embed_train(config, v, images, key), variables, jax.random.key(1))
    assert {leaf.dtype for leaf in jax.tree.leaves(outputs)} == {jnp.dtype("float32")}
    difference = np.abs(embedded(config, variables, images) - golden["evaluated"]).max()
    assert 1e-4 < difference < 0.1  # bfloat16 has 8 bits: not the same numbers, the same picture


def test_dropout_follows_its_key():
    config = dataclasses.replace(TINY, dropout=0.5)
    variables = facenet.init(jax.random.key(0), config)
    images = jnp.asarray(recipe.uniform("images", (4, 16, 16, 1)))
    embed = jitted(lambda key: facenet.embed_train(config, variables, images, key)[0])
    first, again, other = (embed(jax.random.key(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert float(jnp.abs(first - other).max()) > 0.01


def test_a_zero_row_has_a_finite_gradient():
    grad = jax.grad(lambda x: jnp.sum(facenet.on_sphere(x)))(jnp.zeros((1, 4)))
    assert np.isfinite(grad).all()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "inputs"),
    [
        ((3, 3), 2, (0, 0), 3),
        ((3, 3), 1, (1, 1), 5),
        ((1, 7), 1, (0, 3), 6),
        ((7, 1), 1, (3, 0), 6),
        ((1, 1), 1, (0, 0), 8),
    ],
)
def test_every_form_is_the_same_convolution(form, kernel, stride, padding, inputs):
    x = recipe.uniform("x", (2, 9, 8, inputs))
    w = recipe.uniform("w", (*kernel, inputs, 4))

    def value(x, w, form):
        return jnp.sum(jnp.sin(convolve(x, w, stride, padding, form)))

    got, got_grads = jax.value_and_grad(value, (0, 1))(jnp.asarray(x), jnp.asarray(w), form)
    with jax.enable_x64(True):
        wide = jnp.asarray(x, jnp.float64), jnp.asarray(w, jnp.float64)
        want, want_grads = jax.value_and_grad(value, (0, 1))(*wide, "lax")
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
    for g, expected in zip(got_grads, want_grads):
        np.testing.assert_allclose(g, expected, atol=1e-4)


def test_an_unknown_form_is_refused():
    with pytest.raises(InputError, match="convolution form 'winograd'"):
        convolve(jnp.zeros((1, 3, 3, 1)), jnp.zeros((3, 3, 1, 1)), 1, (0, 0), "winograd")


@pytest.mark.parametrize("sums", channels.SUMS)
def test_batch_norm_gradients_match_float64(sums):
    x = recipe.uniform("x", (3, 4, 5, 6)) + 2
    scale, bias, pull = (recipe.uniform(name, shape) for name, shape in (("s", (6,)), ("b", (6,)), ("p", x.shape)))

    def plain(x, scale, bias):
        mean, var = x.mean((0, 1, 2), keepdims=True), x.var((0, 1, 2), keepdims=True)
        rows = scale.reshape(1, 1, 1, -1), bias.reshape(1, 1, 1, -1)
        return jnp.sum(pull * ((x - mean) * lax.rsqrt(var + 1e-3) * rows[0] + rows[1]))

    def own(x, scale, bias):
        return jnp.sum(pull * channels.normalise(x, scale, bias, 1e-3, sums)[0])

    got = jax.value_and_grad(own, (0, 1, 2))(jnp.asarray(x), scale, bias)
    with jax.enable_x64(True):
        wide = [jnp.asarray(value, jnp.float64) for value in (x, scale, bias)]
        want = jax.value_and_grad(plain, (0, 1, 2))(*wide)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5), got, want)


def test_batch_norm_keeps_its_digits_far_from_zero():
    x = 3000 + recipe.uniform("x", (4096, 1))
    _, _, variance = channels.normalise(jnp.asarray(x), jnp.ones(1), jnp.zeros(1), 0.0, "products")
    np.testing.assert_allclose(variance, x.astype(np.float64).var(), rtol=1e-3)


@pytest.mark.parametrize("shape", [(2, 7, 8, 3), (2, 8, 7, 3), (1, 3, 3, 2)])
@pytest.mark.parametrize("edge", [0, 1])
def test_pooling_forms_agree_on_ties_too(shape, edge):
    x = jnp.round(3 * recipe.uniform("x", shape))
    (a, pull_a), (b, pull_b) = (
        jax.vjp(lambda x, sums=sums: channels.max_pool(x, edge, sums), x) for sums in channels.SUMS
    )
    np.testing.assert_array_equal(a, b)
    grad = jnp.asarray(recipe.uniform("g", a.shape))
    np.testing.assert_allclose(pull_a(grad)[0], pull_b(grad)[0], atol=1e-6)


def test_weights_survive_a_round_trip(small, tmp_path):
    variables, _ = small
    facenet_weights.save_weights(tmp_path / "w.npz", variables)
    back = facenet_weights.load_weights(tmp_path / "w.npz", SMALL)
    assert jax.tree.structure(back) == jax.tree.structure(variables)
    jax.tree.map(np.testing.assert_array_equal, back, variables)


def test_exported_names_are_the_public_ones():
    shapes = jax.eval_shape(lambda key: facenet.init(key, PUBLISHED), jax.random.key(0))
    arrays = facenet_weights.export_weights(jax.tree.map(lambda s: np.broadcast_to(np.float32(0), s.shape), shapes))
    # By the public class: 132 convolutions (21 of them the blocks' biased last), 111 + 1 batch norms, one linear layer.
    assert len(arrays) == 132 + 21 + 112 * 5 + 1
    assert arrays["conv2d_1a.conv.weight"].shape == (32, 3, 3, 3)
    assert arrays["repeat_1.0.branch2.0.conv.weight"].shape == (32, 256, 1, 1)
    assert arrays["repeat_2.9.branch1.1.conv.weight"].shape == (128, 128, 1, 7)
    assert arrays["mixed_7a.branch2.0.bn.running_var"].shape == (256,)
    assert arrays["block8.conv2d.bias"].shape == (1792,)
    assert arrays["last_linear.weight"].shape == (512, 1792)


def test_a_classifier_in_the_checkpoint_is_passed_over(small):
    arrays = facenet_weights.export_weights(small[0]) | {"logits.weight": np.zeros((7, 16), np.float32)}
    facenet_weights.import_weights(arrays, SMALL)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"width": 1 / 4}, "about width 0.125.*width = 0.25"), ({"embedding": 8}, "embedding = 16, .* = 8"),
     ({"channels": 1}, "channels = 3, the config says channels = 1"), ({"depth": 0.4}, "depth 0.4 asks for blocks"),
     ({"depth": 0.1}, "deeper network than depth 0.1")],
)  # fmt: skip
def test_a_checkpoint_of_another_network_says_what_differs(small, change, message):
    arrays = facenet_weights.export_weights(small[0])
    with pytest.raises(InputError, match=message):
        facenet_weights.import_weights(arrays, dataclasses.replace(SMALL, **change))


def test_damaged_checkpoints_are_refused(small, tmp_path):
    arrays = facenet_weights.export_weights(small[0])
    name = "block8.conv2d.bias"
    with pytest.raises(InputError, match=f"{name}.*not finite"):
        facenet_weights.import_weights(arrays | {name: arrays[name] * np.nan}, SMALL)
    with pytest.raises(InputError, match=f"{name} has shape"):
        facenet_weights.import_weights(arrays | {name: arrays[name][:-1]}, SMALL)
    with pytest.raises(InputError, match=f"lack 1 arrays, the first {name}"):
        facenet_weights.import_weights({k: v for k, v in arrays.items() if k != name}, SMALL)
    with pytest.raises(InputError, match="not weights of Inception-ResNet-v1"):
        facenet_weights.import_weights({"a": np.zeros(3)}, SMALL)
    with pytest.raises(InputError, match="no such file"):
        facenet_weights.load_weights(tmp_path / "none.npz", SMALL)
    (tmp_path / "w.pt").write_bytes(b"x")
    with pytest.raises(InputError, match="never as a pickle"):
        facenet_weights.load_weights(tmp_path / "w.pt", SMALL)
    (tmp_path / "w.npz").write_bytes(b"junk")
    with pytest.raises(InputError, match="not an npz of plain arrays"):
        facenet_weights.load_weights(tmp_path / "w.npz", SMALL)
    np.savez(tmp_path / "object.npz", a=np.array([{}], dtype=object))
    with pytest.raises(InputError, match="not an npz of plain arrays"):
        facenet_weights.load_weights(tmp_path / "object.npz", SMALL)


def test_compile_options_are_for_the_cpu_alone():
    assert compile_options("gpu") == {}
    double = jax.jit(lambda x: 2 * x, compiler_options=compile_options("cpu"))
    assert float(double(3.0)) == 6


def test_damaged_and_over_declared_weights_are_refused_by_name(small, tmp_path):
    path = tmp_path / "w.npz"
    facenet_weights.save_weights(path, small[0])
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(60):
        content = bytearray(whole)
        for place in rng.integers(0, len(whole), 40):
            content[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(content[: rng.integers(len(whole) // 2, len(whole) + 1)]))
        with pytest.raises(InputError, match=r"w\.npz"):
            facenet_weights.load_weights(path, SMALL)
    content = bytearray(whole)
    entry = content.index(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = (2**32 - 2).to_bytes(4, "little")  # the size that the directory declares
    path.write_bytes(content)
    with pytest.raises(InputError, match="bytes are declared, where weights have"):
        facenet_weights.load_weights(path, SMALL)
