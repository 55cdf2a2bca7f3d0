import concurrent.futures
import threading

import jax
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from siamese_jax.features import is09
from siamese_jax.features.bucketing import BATCH_FRAMES, CPU_BLOCK, MOST_CLIPS, SHORTEST, Engine


@settings(max_examples=50, deadline=None)
@given(st.integers(is09.MIN_SAMPLES, 16000 * 3600 * 12))
def test_a_bucket_holds_its_clip_and_bounds_the_batch(samples):
    engine = Engine()
    frames = engine.bucket(samples)
    assert is09.frame_count(samples) <= frames
    assert frames == SHORTEST or is09.frame_count(samples) > frames // 4
    assert frames % CPU_BLOCK == 0
    clips = engine.clips(frames)
    assert 1 <= clips <= MOST_CLIPS
    assert clips == 1 or clips * frames <= BATCH_FRAMES


def test_a_clip_has_the_same_bits_in_every_place_of_a_batch():
    rng = np.random.default_rng(0)
    clips = [(3000 * rng.standard_normal(length)).astype(np.int16) for length in (880, 5000, 30000, 12345)]
    engine = Engine()
    frames = engine.bucket(30000)
    rows = engine.features(clips, frames)
    assert rows.shape == (4, 64)
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(engine.features(clips[::-1], frames)[::-1], rows)
    full = engine.features([clips[1]] * engine.clips(frames), frames)
    np.testing.assert_array_equal(full, np.repeat(rows[1:2], len(full), axis=0))


def test_the_form_for_accelerators_gives_the_same_features_on_every_device(monkeypatch):
    rng = np.random.default_rng(1)
    clips = [(3000 * rng.standard_normal(length)).astype(np.int16) for length in (880, 20000)]
    frames = Engine().bucket(20000)
    expected = Engine().features(clips, frames)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    engine = Engine()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        both_waiting = threading.Barrier(2)

        def compute():
            both_waiting.wait()
            return engine.features(clips, frames), engine._device_number()

        results = [pool.submit(compute) for _ in range(2)]
    for future in results:
        np.testing.assert_allclose(future.result()[0], expected, rtol=1e-5, atol=1e-5)
    numbers = {future.result()[1] for future in results}
    assert len(numbers) == min(2, len(jax.local_devices()))
