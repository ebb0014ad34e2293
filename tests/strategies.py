"""Strategies: networks, rows and costs as Hypothesis draws them, in one place.

Hypothesis chooses shapes, names and a seed; NumPy fills the arrays from that seed, which is fast
and still shrinks to the smallest shape that fails.
"""

import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import Phase, settings
from hypothesis import strategies as st

from chainrule.activations import ACTIVATIONS
from chainrule.initializers import Uniform
from chainrule.losses import (
    BinaryFocal,
    Focal,
    Loss,
    OfClasses,
    OfLabels,
    get_loss,
    with_label_smoothing,
)
from chainrule.network import Network
from chainrule.penalties import Penalty
from chainrule.units import OverRows

settings.register_profile("chainrule", deadline=None)
settings.register_profile("chainrule_ci", deadline=None, derandomize=True, database=None)
settings.register_profile(  # a mutant is as dead by its first wrong example as by the smallest
    "chainrule_mutants", deadline=None, derandomize=True, database=None, max_examples=30,
    phases=[Phase.explicit, Phase.generate],
)  # fmt: skip
profile = "chainrule_ci" if os.environ.get("CI") else "chainrule"
settings.load_profile("chainrule_mutants" if os.environ.get("MUTANT_UNDER_TEST") else profile)

NAMES = sorted(set(ACTIVATIONS) - {"logistic"})  # which is sigmoid under another name
ELEMENTWISE = sorted(name for name in NAMES if not isinstance(ACTIVATIONS[name], OverRows))
KINKED = ["hard_sigmoid", "hard_swish", "leaky_relu", "relu", "relu6", "selu"]
SMOOTH = sorted(set(NAMES) - set(KINKED))
SMOOTH_LOSSES = [
    "binary_cross_entropy", "binary_focal", "cross_entropy", "focal", "huber", "poisson",
    "squared_error",
]  # fmt: skip
JUMPY_LOSSES = ["absolute_error", "quantile", "quantiles"]

seeds = st.integers(0, 2**32 - 1)


@dataclass
class Problem:
    """A network, rows with targets, and a cost over them."""

    network: Network
    X: Any
    Y: Any
    loss: Loss
    weights: Any
    penalty: Penalty

    @property
    def cost(self) -> dict[str, Any]:
        """What `Network.cost`, `Network.backward` and `check_gradients` all take."""
        return {"loss": self.loss, "weights": self.weights, "penalty": self.penalty}


def targets(loss: Loss, rng: np.random.Generator, n: int, outputs: int) -> np.ndarray:
    """Return targets (n, outputs) on which `loss` is defined."""
    if loss.rows_sum_to_one:
        return (
            rng.dirichlet(np.ones(outputs), n) if n % 2 else np.eye(outputs)[np.arange(n) % outputs]
        )
    if loss.targets == (0.0, 1.0):
        return rng.uniform(size=(n, outputs)) if n % 2 else rng.integers(0, 2, (n, outputs)) * 1.0
    if loss.targets[0] == 0:
        return rng.poisson(2.0, (n, outputs)) * 1.0
    return rng.normal(size=(n, outputs))


@st.composite
def losses(draw: st.DrawFn, name: str) -> Loss:
    """Draw the loss of that name, with label smoothing and a focus where it has those."""
    loss = get_loss(name)
    if isinstance(loss, BinaryFocal | Focal):
        loss = replace(loss, gamma=draw(st.sampled_from([0.0, 0.5, 2.0])))
    if isinstance(loss, BinaryFocal):
        loss = replace(loss, alpha=draw(st.sampled_from([-1.0, 0.25])))
    if isinstance(loss, OfLabels | OfClasses):
        loss = with_label_smoothing(loss, draw(st.sampled_from([0.0, 0.1])))
    return loss


@st.composite
def problems(
    draw: st.DrawFn, activation: str, loss_name: str, outputs: list[str] | None = None
) -> Problem:
    """Draw a problem with 0 to 4 hidden layers of `activation`.

    The output activation is the loss's canonical one, or one of `outputs` (by default of all the
    smooth ones, so that outputs lie outside of a loss's domain too).
    """
    rng = np.random.default_rng(draw(seeds))
    loss = draw(losses(loss_name))
    depth, n = draw(st.integers(0, 4)), draw(st.integers(1, 4))
    sizes = draw(st.lists(st.integers(1, 3), min_size=depth + 2, max_size=depth + 2))
    sizes[-1] = loss.outputs_per_target * (sizes[-1] + loss.rows_sum_to_one)
    canonical = [loss.output] * 3
    output = draw(st.sampled_from(canonical + (outputs or SMOOTH)))
    network = Network(
        sizes,
        [activation] * depth + [output],
        initializers=Uniform(-0.6, 0.6),
        seed=int(rng.integers(2**32)),
    )
    weighted = draw(st.booleans())
    penalty = draw(
        st.sampled_from(
            [Penalty(), Penalty(l2=0.1), Penalty(l2=0.01, alpha=0.3, biases=True), Penalty(l1=0.02)]
        )
    )
    return Problem(
        network,
        rng.uniform(-1, 1, (n, sizes[0])),
        targets(loss, rng, n, sizes[-1]),
        loss,
        rng.uniform(0.1, 2, n) if weighted else None,
        penalty,
    )
