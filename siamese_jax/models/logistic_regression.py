"""Multinomial logistic regression as a pure function of one training set, to be mapped over many.

The objective is scikit-learn's: the weighted sum of cross entropies plus |W|^2 / (2 C), without a penalty on the
intercepts. Its minimum lies in the span of the training clips. A training set is therefore given in coordinates of an
orthonormal basis. The first part of the basis spans the source's clips and is shared by all fits (`shared_basis`). The
second part spans a fit's own clips outside that space (`own_coordinates`). With 2,304 features and 337 clips the
problem has 337 columns.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from chex import Array

from siamese_jax.models import small_systems

MEMORY = 5  # steps and gradient changes that L-BFGS keeps
BLOCK = 8  # iterations between checks of the tolerance; under vmap a check copies all states, as costly as 3 iterations
CURVATURE = 0.003  # assumed second derivative of a clip's cross entropy, for the columns' scale; most clips are fitted
ROUNDING = 1e-5  # share of a clip's squared length; a shorter part outside the span of the others is rounding error


class LabelledClips(NamedTuple):
    """Clips [N, P] in coordinates, the first column ones; labels [N] int; weights [N], 0 to leave out a clip."""

    x: Array
    label: Array
    weight: Array


class Fit(NamedTuple):
    """Coefficients [C, P], the first column the intercepts; their objective; the number of iterations."""

    coefficients: jax.Array
    objective: jax.Array
    iterations: jax.Array


class Settings(NamedTuple):
    """Settings of a fit; iterations run in blocks of `BLOCK`.

    Fields:
      c: scikit-learn's C.
      tolerance: a fit stops when the next step is expected to lower the objective by less than this share.
      max_iterations: upper limit of the iterations.
    """

    c: Array | float
    tolerance: float
    max_iterations: int


class _State(NamedTuple):
    coefficients: jax.Array
    objective: jax.Array
    gradient: jax.Array
    logits: tuple[jax.Array, jax.Array]
    direction: jax.Array
    slopes: tuple[jax.Array, jax.Array]
    step: jax.Array
    done: jax.Array
    moves: jax.Array
    changes: jax.Array
    newest: jax.Array
    iterations: jax.Array


def shared_basis(x_NxF: np.ndarray) -> np.ndarray:
    """Returns an orthonormal basis [F, R] float32 of a space that contains the clips; R is the smaller of N and F."""
    n_clips, n_features = x_NxF.shape
    if n_clips >= n_features:
        return np.eye(n_features, dtype=np.float32)
    return np.ascontiguousarray(np.linalg.qr(x_NxF.T.astype(np.float64))[0], np.float32)


def with_ones(x_NxP: Any) -> Any:
    """Returns the clips with a first column of ones, for the intercepts."""
    xp = np if isinstance(x_NxP, np.ndarray) else jnp
    return xp.concatenate([xp.ones((len(x_NxP), 1), x_NxP.dtype), x_NxP], axis=1)


class OwnSpan(NamedTuple):
    """A fit's own clips: their parts outside the shared span [M, F], and the coordinates [M, M] of these parts.

    The coordinates are lower triangular (Cholesky); a clip in the span of those before it adds a column of zeros.
    """

    rest: jax.Array
    lower: jax.Array


def own_coordinates(x_MxF: jax.Array, basis_FxR: Array) -> tuple[jax.Array, OwnSpan]:
    """Returns the coordinates [M, R + M] of a fit's own clips, the first R in the shared basis, and their span.

    If the shared basis spans all features, the coordinates are [M, R].
    """
    shared_MxR = _product(x_MxF, basis_FxR)
    if basis_FxR.shape[0] == basis_FxR.shape[1]:
        return shared_MxR, OwnSpan(x_MxF[:0], jnp.zeros((0, 0), x_MxF.dtype))
    rest_MxF = x_MxF - _product(shared_MxR, basis_FxR.T)
    least = ROUNDING * jnp.max(jnp.sum(jnp.square(x_MxF), axis=1))
    lower_MxM = small_systems.cholesky(_product(rest_MxF, rest_MxF.T), least)
    return jnp.concatenate([shared_MxR, lower_MxM], axis=1), OwnSpan(rest_MxF, lower_MxM)


def feature_weights(coefficients_CxP: jax.Array, basis_FxR: Array, span: OwnSpan) -> jax.Array:
    """Returns the weights [C, F] of the features; P is 1 + R + M, the first column the intercepts."""
    rank = basis_FxR.shape[1]
    weights_CxF = _product(coefficients_CxP[:, 1 : 1 + rank], basis_FxR.T)
    if not len(span.lower):
        return weights_CxF
    return weights_CxF + _product(small_systems.solve(span.lower, coefficients_CxP[:, 1 + rank :]), span.rest)


def fit(shared: LabelledClips, own: LabelledClips, start_CxP: Array, settings: Settings) -> Fit:
    """Returns the fit at the minimum, by L-BFGS with Newton's step length along each direction.

    Args:
      shared: clips in the shared coordinates [N, 1 + R]; N may be 0.
      own: further clips in coordinates [M, P], of which the first 1 + R are the shared ones; M may be 0.
      start_CxP: coefficients to start from, such as those of the source alone and zeros for further coordinates.
    """
    rank = shared.x.shape[1]
    penalty_P = jnp.full(own.x.shape[1], 1 / settings.c, own.x.dtype).at[0].set(0)
    # All fits scale the shared columns alike, so that the products with them stay shared.
    shared_R = CURVATURE * jnp.sum(jnp.square(shared.x), axis=0) + 1 / settings.c
    shared_R = shared_R.at[0].set(CURVATURE * (len(shared.x) + len(own.x)))
    own_P = CURVATURE * _product(own.weight[None], jnp.square(own.x))[0] + 1 / settings.c
    scale_1xP = jax.lax.rsqrt(jnp.concatenate([shared_R, own_P[rank:]]))[None]
    # In scaled columns all second derivatives are near 1.
    problem = _Problem(
        shared._replace(x=shared.x * jax.lax.rsqrt(shared_R)[None]),
        own._replace(x=own.x * scale_1xP),
        penalty_P[None] * jnp.square(scale_1xP),
    )
    state = jax.lax.while_loop(
        lambda state: ~state.done & (state.iterations < settings.max_iterations),
        lambda state: jax.lax.fori_loop(0, BLOCK, lambda _, s: _iterate(problem, s, settings.tolerance), state),
        _start(problem, start_CxP / scale_1xP, settings.tolerance),
    )
    return Fit(state.coefficients * scale_1xP, state.objective, state.iterations)


class _Problem(NamedTuple):
    """Both sets of clips in scaled columns, and the penalty's second derivatives [1, P].

    Classes come first in all arrays: products with shared clips are then one product for all fits, without a change of
    layout, and sums over classes are sums of whole rows.
    """

    shared: LabelledClips
    own: LabelledClips
    penalty: jax.Array

    def logits(self, at_CxP: jax.Array) -> tuple[jax.Array, jax.Array]:
        return _product(at_CxP[:, : self.shared.x.shape[1]], self.shared.x.T), _product(at_CxP, self.own.x.T)

    def objective(self, logits: Any, at_CxP: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        """Returns the objective, and the probabilities [C, N] of both sets."""
        total = jnp.sum(self.penalty * jnp.square(at_CxP)) / 2
        probabilities = []
        for clips, z_CxN in zip((self.shared, self.own), logits):
            # One exponential for each value: most of the work apart from the products.
            low_CxN = z_CxN - jnp.max(z_CxN, axis=0, keepdims=True)
            raised_CxN = jnp.exp(low_CxN)
            sum_1xN = jnp.sum(raised_CxN, axis=0, keepdims=True)
            true_N = jnp.sum(low_CxN * _one_hot(clips, len(z_CxN)), axis=0)
            total -= jnp.sum(clips.weight * (true_N - jnp.log(sum_1xN[0])))
            probabilities.append(raised_CxN / sum_1xN)
        return total, (probabilities[0], probabilities[1])

    def gradient(self, probabilities: Any, at_CxP: jax.Array) -> jax.Array:
        shared_CxR, own_CxP = (
            _product(clips.weight[None] * (p_CxN - _one_hot(clips, len(p_CxN))), clips.x)
            for clips, p_CxN in zip((self.shared, self.own), probabilities)
        )
        return (self.penalty * at_CxP + own_CxP).at[:, : shared_CxR.shape[1]].add(shared_CxR)

    def step(self, probabilities: Any, slopes: Any, direction_CxP: jax.Array, descent: jax.Array) -> jax.Array:
        """Returns Newton's step length along a direction that changes the logits by `slopes`."""
        curvature = jnp.sum(self.penalty * jnp.square(direction_CxP))
        for clips, p_CxN, slope_CxN in zip((self.shared, self.own), probabilities, slopes):
            mean_N, square_N = jnp.sum(p_CxN * slope_CxN, axis=0), jnp.sum(p_CxN * jnp.square(slope_CxN), axis=0)
            curvature += jnp.sum(clips.weight * (square_N - jnp.square(mean_N)))
        return descent / jnp.maximum(curvature, 1e-30)


def _one_hot(clips: LabelledClips, n_classes: int) -> jax.Array:
    return (jnp.arange(n_classes)[:, None] == clips.label[None]).astype(clips.x.dtype)


def _product(a: Array, b: Array) -> jax.Array:
    return jnp.matmul(a, b, precision="highest")


def _direction(gradient_CxP: jax.Array, moves: jax.Array, changes: jax.Array, newest: jax.Array) -> jax.Array:
    """Returns minus the inverse second derivatives times the gradient (Nocedal & Wright 2006, algorithm 7.4).

    The moves (steps taken) and changes (of the gradient) [MEMORY, C, P] form a ring; unused places are zeros. `newest`
    is the place of the newest pair, and the place before it holds the next older pair. The recursion runs on the inner
    products of all vectors, so that the vectors are read twice instead of twenty times.
    """
    vectors = jnp.concatenate([moves, changes, gradient_CxP[None]]).reshape(2 * MEMORY + 1, -1)
    places = (newest - jnp.arange(MEMORY)) % MEMORY
    order = jnp.concatenate([places, MEMORY + places, jnp.array([2 * MEMORY])])
    products = _product(vectors, vectors.T)[order[:, None], order[None]]
    curvature = jnp.diagonal(products, MEMORY)[:MEMORY]
    inverse = jnp.where(curvature > 0, 1 / jnp.where(curvature > 0, curvature, 1), 0)
    unit = np.eye(len(vectors), dtype=np.float32)
    factors, shares = jnp.asarray(unit[-1]), []
    for i in range(MEMORY):
        shares.append(inverse[i] * jnp.sum(factors * products[i]))
        factors = factors - shares[i] * unit[MEMORY + i]
    length = products[MEMORY, MEMORY]
    factors *= jnp.where(curvature[0] > 0, curvature[0] / jnp.where(length > 0, length, 1), 1)
    for i in reversed(range(MEMORY)):
        factors = factors + (shares[i] - inverse[i] * jnp.sum(factors * products[MEMORY + i])) * unit[i]
    # The order is its own inverse.
    return -_product(factors[order][None], vectors).reshape(gradient_CxP.shape)


def _start(problem: _Problem, start_CxP: jax.Array, tolerance: float) -> _State:
    none = jnp.zeros((MEMORY, *start_CxP.shape), start_CxP.dtype)
    return _at(problem, start_CxP, problem.logits(start_CxP), none, none, None, tolerance)


def _at(
    problem: _Problem, at_CxP: jax.Array, logits: Any, moves: jax.Array, changes: jax.Array, before: _State | None,
    tolerance: float,
) -> _State:  # fmt: skip
    """Returns the state at given coefficients, which were reached from the state `before`.

    If the objective is higher there, returns `before` with a shorter step.
    """
    objective, probabilities = problem.objective(logits, at_CxP)
    gradient = problem.gradient(probabilities, at_CxP)
    accepted = jnp.array(True)
    newest = jnp.zeros((), jnp.int32)
    if before is not None:
        # Rounding may raise the objective a little near the minimum.
        accepted = objective <= before.objective * (1 + 1e-6)
        move, change = at_CxP - before.coefficients, gradient - before.gradient
        # A pair without positive curvature, caused by rounding, is not kept.
        kept = accepted & (jnp.sum(move * change) > 0)
        newest = jnp.where(kept, (before.newest + 1) % MEMORY, before.newest)
        written = kept & (jnp.arange(MEMORY) == newest)[:, None, None]
        moves, changes = jnp.where(written, move[None], moves), jnp.where(written, change[None], changes)
    direction = _direction(gradient, moves, changes, newest)
    descent = -jnp.sum(gradient * direction)
    slopes = problem.logits(direction)
    step = problem.step(probabilities, slopes, direction, descent)
    done = descent * step / 2 < tolerance * objective
    reached = (at_CxP, objective, gradient, logits, direction, slopes, step, done)
    iterations = jnp.zeros((), jnp.int32)
    if before is not None:
        shorter = before.step / 4
        refused = (
            before.coefficients, before.objective, before.gradient, before.logits, before.direction, before.slopes,
            shorter, shorter < 1e-6,
        )  # fmt: skip
        reached = jax.tree.map(lambda new, old: jnp.where(accepted, new, old), reached, refused)
        iterations = before.iterations + 1
    return _State(*reached, moves, changes, newest, iterations)


def _iterate(problem: _Problem, state: _State, tolerance: float) -> _State:
    at = state.coefficients + state.step * state.direction
    logits = jax.tree.map(lambda z, slope: z + state.step * slope, state.logits, state.slopes)
    return _at(problem, at, logits, state.moves, state.changes, state, tolerance)
