"""Three surfaces: functions of two inputs, drawn beside what a network learns of them.

    python examples/surfaces.py

How a network begins decides whether it learns at all. The same training is run twice, from weights
that are nearly equal and from wide ones; then a better training, from the wide ones.
"""

import numpy as np

from chainrule import SGD, Adam, InverseScaling, Network, Penalty, train
from chainrule.plots import plot_surfaces, save_figure

functions = {
    "bowl": lambda X: X[:, 0] ** 2 + X[:, 1] ** 2,
    "saddle": lambda X: X[:, 0] ** 2 - X[:, 1] ** 2,
    "dome": lambda X: np.cos(X[:, 0]) * np.cos(X[:, 1]),
}

# 400 points of the square from -1 to 1 to learn from, and a grid of 1,681 to measure on.
X = np.random.default_rng(0).uniform(-1, 1, (400, 2))
line = np.linspace(-1, 1, 41)
grid = np.array([[x, y] for x in line for y in line])


def alike(rng, n_in, n_out):
    """Weights and biases from 0 to 0.01: all units of a layer start nearly alike."""
    return rng.uniform(0, 0.01, (n_in, n_out)), rng.uniform(0, 0.01, n_out)


def wide(rng, n_in, n_out):
    """Weights of deviation 4 / sqrt(n_in): the sigmoid's slope of at most 1/4 shrinks signals."""
    return rng.normal(0, 4 / np.sqrt(n_in), (n_in, n_out))


# The original: batches of 5, the rate 0.4 / t^0.2 at update t, momentum, and L2 on biases too.
original = {
    "optimizer": SGD(0.4, momentum=0.6),
    "schedule": InverseScaling(0.2),
    "penalty": Penalty(l2=1e-4, biases=True),
    "batch_size": 5,
    "epochs": 1000,
    "shuffle": False,
}
# Ours: Adam with a rate that falls to 0 along a cosine, and no L2.
ours = {"optimizer": Adam(0.05), "schedule": "cosine", "batch_size": 10, "epochs": 400}

for name, function in functions.items():
    true, Y = function(grid), function(X)[:, None]
    for first, settings in [(alike, original), (wide, original), (wide, ours)]:
        net = Network([2, 3, 5, 8, 1], ["sigmoid"] * 3 + ["identity"], initializers=first, seed=7)
        train(net, X, Y, **settings)
        error = np.sqrt(np.mean((net.predict(grid)[:, 0] - true) ** 2)) / np.ptp(true)
        training = "the original" if settings is original else "ours"
        print(f"{name}: {training} from {first.__name__} weights: error {error:.1%} of the range")
    save_figure(plot_surfaces(function, net, name=name)[0], f"{name}.png", force=True)

# When to stop? When the mean loss of an epoch is small, or when every row's is: the older rule.
for rule in ("mean", "every_row"):
    net = Network([2, 3, 5, 8, 1], ["sigmoid"] * 3 + ["identity"], initializers=wide, seed=7)
    history = train(net, X, Y, **ours, stop_below=1e-3, stop_rule=rule)
    print(f"dome, rule {rule!r}: {len(history)} epochs; {history.stop_reason}")

print("the surfaces are in bowl.png, saddle.png and dome.png")
