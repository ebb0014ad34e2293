"""Regression ladder: linear, logistic and softmax regression as networks without a hidden layer.

The original climbed from linear regression to N layers with one class and another list of widths,
by full-batch gradient descent. It published no figures for the first rungs, but those have answers
that are known: the normal equations, and what scikit-learn finds for the same cost. Gradient
descent comes near them, L-BFGS reaches them. Then a hidden layer, and N.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.classics.pictures import draw_curves, draw_ladder
from chainrule.classics.result import Figure, Result
from chainrule.history import History
from chainrule.network import Network
from chainrule.optimizers import LBFGS, SGD
from chainrule.penalties import Penalty
from chainrule.training import train

CLOSE = 1e-6
#: Exact as far as float64 goes: it stops where the cost no longer changes.
EXACT = LBFGS(tolerance=1e-12, memory=50)
DESCENT: dict[str, Any] = {"optimizer": SGD(0.1), "epochs": 1_000}
LADDER: dict[str, tuple[int, ...]] = {"none": (), "one": (32,), "three": (32, 16, 8)}

Solution = tuple[Array, Array, Array]  # weights (inputs, outputs), biases (outputs,), predictions


@dataclass(frozen=True)
class Rung:
    """A regression: its data, and the output activation, loss and L2 that make a network of it."""

    name: str
    dataset: str
    output: str
    loss: str
    alpha: float

    def read(self) -> tuple[Array, Array]:
        """Return rows with columns around 0 (n, inputs), and what is to be told (n,)."""
        from sklearn import datasets

        X, y = getattr(datasets, f"load_{self.dataset}")(return_X_y=True)
        if self.name == "softmax":
            return (X - X.mean(axis=0)) / 16, y  # pixels from 0 to 16
        X = (X - X.mean(axis=0)) / X.std(axis=0)
        return X, (y - y.mean()) / y.std() if self.name == "linear" else y

    @property
    def title(self) -> str:
        """Its dataset, as a person writes it."""
        return self.dataset.replace("_", " ")

    def targets(self, y: Array) -> Array:
        """Return y as a network's targets (n, outputs): one-hot for softmax."""
        return np.eye(y.max() + 1)[y] if self.name == "softmax" else y[:, None].astype(float)


RUNGS = [
    Rung("linear", "diabetes", "identity", "squared_error", 0.0),
    Rung("logistic", "breast_cancer", "sigmoid", "binary_cross_entropy", 1.0),
    Rung("softmax", "digits", "softmax", "cross_entropy", 1.0),
]


def solve(rung: Rung, X: Array, y: Array, **settings: Any) -> tuple[Network, History]:
    """Train a network without a hidden layer from zeros, by L-BFGS unless `settings` differ."""
    Y = rung.targets(y)
    net = Network([X.shape[1], Y.shape[1]], [rung.output], initializers="zeros")
    usual: dict[str, Any] = {"optimizer": EXACT, "epochs": 5_000, "batch_size": len(X)}
    penalty = Penalty(alpha=rung.alpha)
    return net, train(net, X, Y, loss=rung.loss, penalty=penalty, **usual | settings)


def by_normal_equations(X: Array, y: Array) -> Solution:
    """Return the weights that minimise ‖X·w + b − y‖², which solve (AᵀA)·w = Aᵀy, A = [X, 1].

    >>> W, b, predicted = by_normal_equations(np.array([[0.0], [1.0], [2.0]]), np.arange(3) * 2 + 1)
    >>> W.round(9), b.round(9)
    (array([[2.]]), array([1.]))
    """
    A = np.column_stack([X, np.ones(len(X))])
    w = np.linalg.solve(A.T @ A, A.T @ y)
    return w[:-1, None], w[-1:], (A @ w)[:, None]


def by_scikit_learn(rung: Rung, X: Array, y: Array) -> Solution:
    """Return what scikit-learn's own regression finds for the same cost."""
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from threadpoolctl import threadpool_limits

    if rung.name == "linear":
        linear = LinearRegression().fit(X, y)
        return linear.coef_[:, None], np.array([linear.intercept_]), linear.predict(X)[:, None]
    found = LogisticRegression(C=1 / rung.alpha, tol=1e-12, solver="newton-cholesky")
    with threadpool_limits(1):  # its products are small: threads would wait for one another
        found.fit(X, y)
    return found.coef_.T, found.intercept_, _probabilities(found, X)


def by_estimator(rung: Rung, X: Array, y: Array, engine: str = "auto") -> Solution:
    """Return what MLPRegressor or MLPClassifier finds with hidden_layer_sizes=()."""
    model = _estimator(rung, (), tol=1e-12, max_iter=5_000, initializer="zeros", engine=engine)
    model.fit(X, y)
    told = model.predict(X)[:, None] if rung.name == "linear" else _probabilities(model, X)
    return model.coefs_[0], model.intercepts_[0], told


def apart(one: Solution, other: Solution) -> tuple[float, float]:
    """Return the largest differences of coefficients and of predictions.

    A constant added to all biases of a softmax changes nothing, so they are compared by their
    distances from their mean where there are several.
    """
    (V, c, told), (W, b, other_told) = one, other
    if len(b) > 1:
        b, c = b - b.mean(), c - c.mean()
    coefficients = max(np.abs(V - W).max(), np.abs(b - c).max())
    return float(coefficients), float(np.abs(told - other_told).max())


def run(*, engine: str = "auto", rows: int | None = None) -> Result:
    """Solve each regression by gradient descent and by L-BFGS, and climb to three hidden layers.

    With `rows`, only so many of each dataset are used.
    """
    started = perf_counter()
    figures: list[Figure] = []
    climbed: list[Figure] = []
    descents: dict[str, History] = {}
    weights: dict[str, Network] = {}
    for rung in RUNGS:
        X, y = (each[:rows] for each in rung.read())
        slow, descents[f"{rung.name}, {rung.title}"] = solve(rung, X, y, **DESCENT, engine=engine)
        exact, _ = solve(rung, X, y, engine=engine)
        weights[rung.name] = exact
        ours = [_solution(exact, X), by_estimator(rung, X, y, engine)]
        truths = {"scikit-learn": by_scikit_learn(rung, X, y)}
        if rung.name == "linear":
            truths = {"closed form": by_normal_equations(X, y)} | truths
        for truth, solution in truths.items():
            figures += _differences(rung, truth, solution, _solution(slow, X), ours)
        climbed += climb(rung, X, y, engine)
    return Result(
        "regression-ladder",
        figures + climbed,
        perf_counter() - started,
        {
            "cost.png": lambda: draw_curves(descents, "gradient descent without a hidden layer"),
            "weights.png": lambda: draw_weights(weights["softmax"]),
            "ladder.png": lambda: _draw_ladder(climbed),
        },
        ["original: 1,000 steps of gradient descent; ours: Network by L-BFGS, and the estimators"
         " with hidden_layer_sizes=(), whichever is further off"],
    )  # fmt: skip


def _differences(
    rung: Rung, truth: str, solution: Solution, slow: Solution, ours: list[Solution]
) -> list[Figure]:
    """Return how far from a known solution the coefficients and the predictions are."""
    descent = apart(slow, solution)
    exact = np.max([apart(each, solution) for each in ours], axis=0).tolist()
    return [
        Figure(f"{rung.name}_{what}_{truth.replace(' ', '_').replace('-', '_')}",
               f"{rung.name}: {what} less {truth}'s", f"< {CLOSE:g}", slow_by, by, ".1e",
               by < CLOSE)
        for what, slow_by, by in zip(("coefficients", "predictions"), descent, exact, strict=True)
    ]  # fmt: skip


def climb(rung: Rung, X: Array, y: Array, engine: str = "auto") -> list[Figure]:
    """Return the score on every fourth row, held out, without hidden layers, with one, with N."""
    held_out = np.arange(len(X)) % 4 == 3
    score, form = ("R²", ".3f") if rung.name == "linear" else ("accuracy", ".1%")
    figures = []
    for layers, hidden in LADDER.items():
        model = _estimator(rung, hidden, max_iter=1_000, tol=1e-4, engine=engine, alpha=10.0)
        model.fit(X[~held_out], y[~held_out])
        reached = float(model.score(X[held_out], y[held_out]))
        widths = "-".join(map(str, hidden))
        what = f"{rung.title}: {score}, " + (widths or "no hidden layer")
        figures.append(Figure(f"{rung.dataset}_{layers}", what, None, None, reached, form))
    return figures


def _estimator(rung: Rung, hidden: tuple[int, ...], **settings: Any) -> Any:
    from chainrule.estimators import MLPClassifier, MLPRegressor

    cls = MLPRegressor if rung.name == "linear" else MLPClassifier
    usual: dict[str, Any] = {"solver": "lbfgs", "alpha": rung.alpha, "activation": "tanh"}
    return cls(hidden_layer_sizes=hidden, random_state=0, **usual | settings)


def _solution(net: Network, X: Array) -> Solution:
    return net.W[0], net.b[0], net.predict(X)


def _probabilities(model: Any, X: Array) -> Array:
    """Return those of all classes, or of the second of two (n, 1)."""
    told: Array = model.predict_proba(X)
    return told[:, 1:] if told.shape[1] == 2 else told


def draw_weights(net: Network) -> Any:
    """Draw the weights of softmax regression on digits as images, one for each digit."""
    from chainrule.plots import look, plot_first_weights

    ax = plot_first_weights(net, units=range(10))
    look.write_title(ax, "softmax regression: the weights into the digits 0 to 9, row by row")
    return ax


def _draw_ladder(figures: list[Figure]) -> Any:
    scores: dict[str, list[float]] = {}
    for figure in figures:
        scores.setdefault(figure.what.rpartition(",")[0], []).append(float(figure.ours or 0))
    widths = ["-".join(map(str, hidden)) or "none" for hidden in LADDER.values()]
    return draw_ladder(scores, widths)
