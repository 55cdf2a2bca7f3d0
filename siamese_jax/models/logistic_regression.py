"""Multinomial logistic regression as a pure function of one training set, to be mapped over many.

The objective is scikit-learn's: the weighted sum of cross entropies plus |W|^2 / (2 C), the intercepts free. Its
minimum lies in the span of the training clips. A training set is therefore given in coordinates of an orthonormal
basis: of the source's clips, shared by all fits (`shared_basis`), and of a fit's own clips outside that span
(`own_coordinates`). 2,304 features and 337 clips make a problem of 337 columns.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from chex import Array

MEMORY = 5  # moves and changes of the gradient that L-BFGS remembers
CURVATURE = 0.003  # second derivatives of a clip's cross entropy, for the scale of the columns: most clips are fitted
ROUNDING = 1e-5  # of a clip's squared length: a part outside the span of others that is shorter is rounding


class LabelledClips(NamedTuple):
    """Clips [N, P] in coordinates, the first column ones; their labels [N] int and weights [N], 0 to leave one out."""

    x: Array
    label: Array
    weight: Array


class Fit(NamedTuple):
    """Coefficients [P, C], the first row the intercepts; the objective there; the iterations it took."""

    coefficients: jax.Array
    objective: jax.Array
    iterations: jax.Array


class Settings(NamedTuple):
    """C as scikit-learn's; the share of the objective that the next step must promise to be taken; most iterations."""

    c: float
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
    moves: jax.Array
    changes: jax.Array
    iterations: jax.Array
    done: jax.Array


def shared_basis(x_NxF: np.ndarray) -> np.ndarray:
    """Returns an orthonormal basis [F, R] float32 of a space that holds the clips, R the smaller of N and F."""
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

    Where the shared basis spans all features, there is no other: the coordinates are [M, R].
    """
    shared_MxR = _product(x_MxF, basis_FxR)
    if basis_FxR.shape[0] == basis_FxR.shape[1]:
        return shared_MxR, OwnSpan(x_MxF[:0], jnp.zeros((0, 0), x_MxF.dtype))
    rest_MxF = x_MxF - _product(shared_MxR, basis_FxR.T)
    least = ROUNDING * jnp.max(jnp.sum(jnp.square(x_MxF), axis=1))
    lower_MxM = _cholesky(_product(rest_MxF, rest_MxF.T), least)
    return jnp.concatenate([shared_MxR, lower_MxM], axis=1), OwnSpan(rest_MxF, lower_MxM)


def feature_weights(coefficients_PxC: jax.Array, basis_FxR: Array, span: OwnSpan) -> jax.Array:
    """Returns the weights [F, C] of the features; P is 1 + R + M, the first row the intercepts."""
    rank = basis_FxR.shape[1]
    if not len(span.lower):
        return _product(basis_FxR, coefficients_PxC[1 : 1 + rank])
    factors_MxC = _solve_transposed(span.lower, coefficients_PxC[1 + rank :])
    return _product(basis_FxR, coefficients_PxC[1 : 1 + rank]) + _product(span.rest.T, factors_MxC)


def _cholesky(gram_MxM: jax.Array, least: jax.Array) -> jax.Array:
    """Returns the lower triangular factor; columns whose pivot is at most `least` are zeros.

    The library's routine runs its batch on threads that, on a CPU with a device for each core, wait for one another
    (jaxlib 0.10.2).
    """

    def column(j: jax.Array, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        rest, lower = state
        pivot = rest[j, j]
        column_M = jnp.where(pivot > least, rest[:, j] * jax.lax.rsqrt(jnp.maximum(pivot, least)), 0)
        return rest - column_M[:, None] * column_M[None], lower.at[:, j].set(column_M)

    # Rounding leaves values above the diagonal.
    return jnp.tril(jax.lax.fori_loop(0, len(gram_MxM), column, (gram_MxM, jnp.zeros_like(gram_MxM)))[1])


def _solve_transposed(lower_MxM: jax.Array, right_MxC: jax.Array) -> jax.Array:
    """Returns X of transposed(lower) X = right; rows of X whose diagonal value is 0 are zeros."""

    def row(i: jax.Array, x_MxC: jax.Array) -> jax.Array:
        j = len(lower_MxM) - 1 - i
        value_C = right_MxC[j] - _product(lower_MxM[:, j][None], x_MxC)[0]
        diagonal = lower_MxM[j, j]
        return x_MxC.at[j].set(jnp.where(diagonal > 0, value_C / jnp.where(diagonal > 0, diagonal, 1), 0))

    return jax.lax.fori_loop(0, len(lower_MxM), row, jnp.zeros_like(right_MxC))


def fit(shared: LabelledClips, own: LabelledClips, start_PxC: Array, settings: Settings) -> Fit:
    """Returns the minimum, by L-BFGS with Newton's step length along each direction.

    Args:
      shared: clips in the shared coordinates [N, 1 + R]; N may be 0.
      own: further clips in coordinates [M, P], of which the first 1 + R are the shared ones; M may be 0.
      start_PxC: coefficients to start from, such as those of the source alone and zeros for further coordinates.
    """
    total = jnp.sum(shared.weight) + jnp.sum(own.weight)
    curvature_P = CURVATURE * _product(own.weight[None], jnp.square(own.x))[0]
    curvature_R = CURVATURE * _product(shared.weight[None], jnp.square(shared.x))[0]
    curvature_P = curvature_P.at[: len(curvature_R)].add(curvature_R) + CURVATURE * 1e-3 * total
    penalty_P = jnp.full(len(curvature_P), 1 / settings.c, curvature_P.dtype).at[0].set(0)
    # In columns of this scale all second derivatives are near 1.
    scale_Px1 = jax.lax.rsqrt(curvature_P + penalty_P)[:, None]
    problem = _Problem(
        shared._replace(x=shared.x * scale_Px1[: shared.x.shape[1], 0][None]),
        own._replace(x=own.x * scale_Px1.T),
        penalty_P[:, None] * jnp.square(scale_Px1),
    )
    state = jax.lax.while_loop(
        lambda state: ~state.done & (state.iterations < settings.max_iterations),
        lambda state: _iterate(problem, state, settings.tolerance),
        _start(problem, start_PxC / scale_Px1, settings.tolerance),
    )
    return Fit(state.coefficients * scale_Px1, state.objective, state.iterations)


class _Problem(NamedTuple):
    """Both sets of clips in scaled columns, and the penalty's second derivatives [P, 1]."""

    shared: LabelledClips
    own: LabelledClips
    penalty: jax.Array

    def logits(self, at_PxC: jax.Array) -> tuple[jax.Array, jax.Array]:
        return _product(self.shared.x, at_PxC[: self.shared.x.shape[1]]), _product(self.own.x, at_PxC)

    def objective(self, logits: Any, at_PxC: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        """The objective, and the probabilities of both sets."""
        total = jnp.sum(self.penalty * jnp.square(at_PxC)) / 2
        probabilities = []
        for clips, z_NxC in zip((self.shared, self.own), logits):
            log_NxC = jax.nn.log_softmax(z_NxC)
            total -= jnp.sum(clips.weight * jnp.take_along_axis(log_NxC, clips.label[:, None], axis=1)[:, 0])
            probabilities.append(jnp.exp(log_NxC))
        return total, (probabilities[0], probabilities[1])

    def gradient(self, probabilities: Any, at_PxC: jax.Array) -> jax.Array:
        shared_RxC, own_PxC = (
            _product(clips.x.T, clips.weight[:, None] * (p_NxC - jax.nn.one_hot(clips.label, p_NxC.shape[1])))
            for clips, p_NxC in zip((self.shared, self.own), probabilities)
        )
        return (self.penalty * at_PxC + own_PxC).at[: len(shared_RxC)].add(shared_RxC)

    def step(self, probabilities: Any, slopes: Any, direction_PxC: jax.Array, descent: jax.Array) -> jax.Array:
        """Newton's step length along a direction that changes the logits by `slopes`."""
        curvature = jnp.sum(self.penalty * jnp.square(direction_PxC))
        for clips, p_NxC, slope_NxC in zip((self.shared, self.own), probabilities, slopes):
            mean_N, square_N = jnp.sum(p_NxC * slope_NxC, axis=1), jnp.sum(p_NxC * jnp.square(slope_NxC), axis=1)
            curvature += jnp.sum(clips.weight * (square_N - jnp.square(mean_N)))
        return descent / jnp.maximum(curvature, 1e-30)


def _product(a: Array, b: Array) -> jax.Array:
    return jnp.matmul(a, b, precision="highest")


def _direction(gradient_PxC: jax.Array, moves: jax.Array, changes: jax.Array) -> jax.Array:
    """Minus the inverse second derivatives times the gradient (Nocedal & Wright 2006, algorithm 7.4).

    The moves and changes [MEMORY, P, C] are the newest first, zeros where there are fewer. The recursion runs on the
    inner products of all vectors, which are read twice instead of twenty times.
    """
    vectors = jnp.concatenate([moves, changes, gradient_PxC[None]]).reshape(2 * MEMORY + 1, -1)
    products = _product(vectors, vectors.T)
    curvature = jnp.stack([products[i, MEMORY + i] for i in range(MEMORY)])
    inverse = jnp.where(curvature > 0, 1 / jnp.where(curvature > 0, curvature, 1), 0)
    factors, shares = jnp.zeros(len(vectors), vectors.dtype).at[-1].set(1), []
    for i in range(MEMORY):
        shares.append(inverse[i] * jnp.sum(factors * products[i]))
        factors = factors.at[MEMORY + i].add(-shares[i])
    newest = products[MEMORY, MEMORY]
    factors *= jnp.where(curvature[0] > 0, curvature[0] / jnp.where(newest > 0, newest, 1), 1)
    for i in reversed(range(MEMORY)):
        factors = factors.at[i].add(shares[i] - inverse[i] * jnp.sum(factors * products[MEMORY + i]))
    return -_product(factors[None], vectors).reshape(gradient_PxC.shape)


def _start(problem: _Problem, start_PxC: jax.Array, tolerance: float) -> _State:
    none = jnp.zeros((MEMORY, *start_PxC.shape), start_PxC.dtype)
    return _at(problem, start_PxC, problem.logits(start_PxC), none, none, None, tolerance)


def _at(
    problem: _Problem, at_PxC: jax.Array, logits: Any, moves: jax.Array, changes: jax.Array, before: _State | None,
    tolerance: float,
) -> _State:  # fmt: skip
    """The state at given coefficients; `before` is the state that they were reached from."""
    objective, probabilities = problem.objective(logits, at_PxC)
    gradient = problem.gradient(probabilities, at_PxC)
    if before is not None:
        move, change = at_PxC - before.coefficients, gradient - before.gradient
        # A pair without positive curvature, of rounding, is left out as zeros.
        convex = jnp.sum(move * change) > 0
        moves = jnp.concatenate([jnp.where(convex, move, 0)[None], moves[:-1]])
        changes = jnp.concatenate([jnp.where(convex, change, 0)[None], changes[:-1]])
    direction = _direction(gradient, moves, changes)
    descent = -jnp.sum(gradient * direction)
    slopes = problem.logits(direction)
    step = problem.step(probabilities, slopes, direction, descent)
    iterations = jnp.zeros((), jnp.int32) if before is None else before.iterations + 1
    done = descent * step / 2 < tolerance * objective
    return _State(
        at_PxC, objective, gradient, logits, direction, slopes, step, moves, changes, iterations, done
    )  # fmt: skip


def _iterate(problem: _Problem, state: _State, tolerance: float) -> _State:
    """A step; where it raises the objective it is taken back, and the next is shorter."""
    at = state.coefficients + state.step * state.direction
    logits = jax.tree.map(lambda z, slope: z + state.step * slope, state.logits, state.slopes)
    accepted = _at(problem, at, logits, state.moves, state.changes, state, tolerance)
    shorter = state.step / 4
    refused = state._replace(step=shorter, iterations=accepted.iterations, done=shorter < 1e-6)
    # Rounding may raise the objective a little near the minimum.
    lower = accepted.objective <= state.objective * (1 + 1e-6)
    return jax.tree.map(lambda a, b: jnp.where(lower, a, b), accepted, refused)
