"""Race: test accuracy against seconds of training, here and in PyTorch, from the same start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from time import perf_counter
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.callbacks import Callback
from chainrule.classics.handwriting import Task, accuracy
from chainrule.history import History
from chainrule.network import Network
from chainrule.plots import look

#: Seconds of training so far, and the accuracy on test rows, after each epoch.
Points = list[tuple[float, float]]


class Course(Callback):
    """Note test accuracy after each epoch, and the seconds without those that measuring takes.

    With a `goal` the training stops where the accuracy reaches it.

    >>> from chainrule.training import train
    >>> X, Y = np.array([[0.0], [1.0]]), np.array([[0.0], [1.0]])
    >>> course = Course(X, Y, goal=0.5)
    >>> history = train(Network([1, 1], output_activation="sigmoid"), X, Y, callbacks=[course])
    >>> len(history), course.points[-1][1] >= 0.5
    (1, True)
    """

    def __init__(self, X: Array, Y: Array, goal: float | None = None) -> None:
        self.X, self.Y, self.goal = X, Y, goal
        self.points: Points = []
        self._seconds, self._lap = 0.0, perf_counter()

    def start(self) -> None:
        """Start the clock."""
        self._lap = perf_counter()

    def note(self, predict: Callable[[Array], Array]) -> bool:
        """Measure with the clock standing still; return whether the goal is reached."""
        self._seconds += perf_counter() - self._lap
        self.points.append((self._seconds, accuracy(predict(self.X), self.Y)))
        self.start()
        return self.goal is not None and self.points[-1][1] >= self.goal

    def seconds_to(self, goal: float) -> float | None:
        """Return the seconds after which the accuracy first was at the goal, if it ever was."""
        return next((seconds for seconds, reached in self.points if reached >= goal), None)

    def on_train_begin(self, network: Network, history: History) -> None:
        self.start()

    def on_epoch_end(self, network: Network, history: History) -> bool:
        return self.note(network.predict)


def train_in_pytorch(
    network: Network, task: Task, settings: Mapping[str, Any], course: Course, n_threads: int
) -> None:
    """Train a copy of a relu and softmax network in PyTorch, and note how it goes in `course`.

    `settings` are those of `train` with Adam: optimizer, schedule, batch_size, epochs and dropout.
    First weights, rates, threads and the fused optimizer are the same; the order of rows and the
    units that drop out are PyTorch's own.

    Raises ImportError when PyTorch is not installed.
    """
    torch: Any = import_module("torch")
    torch.set_num_threads(n_threads)
    torch.manual_seed(0)
    model = _model(torch, network, settings["dropout"])
    rule, schedule, batch = settings["optimizer"], settings["schedule"], settings["batch_size"]
    optimizer = torch.optim.Adam(
        model.parameters(), lr=rule.rate, betas=(rule.beta_1, rule.beta_2), eps=rule.epsilon,
        fused=True,
    )  # fmt: skip
    X, y = torch.from_numpy(task.X), torch.from_numpy(task.Y.argmax(axis=1))
    cost, per_epoch, t = torch.nn.CrossEntropyLoss(), -(-len(X) // batch), 0

    def predict(rows: Array) -> Array:
        model.eval()
        with torch.no_grad():
            outputs: Array = torch.softmax(model(torch.from_numpy(rows)), dim=1).numpy()
        model.train()
        return outputs

    course.start()
    for _ in range(settings["epochs"]):
        order = torch.randperm(len(X))
        for rows, targets in zip(X[order].split(batch), y[order].split(batch), strict=True):
            t += 1
            factor = schedule.factor(t, per_epoch, per_epoch * settings["epochs"])
            optimizer.param_groups[0]["lr"] = rule.rate * factor
            optimizer.zero_grad()
            cost(model(rows), targets).backward()
            optimizer.step()
        if course.note(predict):
            return


def _model(torch: Any, network: Network, dropout: float) -> Any:
    """Return PyTorch's modules with the network's weights; the softmax is in its loss."""
    modules: list[Any] = []
    for layer in network.layers:
        linear = torch.nn.Linear(*layer.W.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(np.ascontiguousarray(layer.W.T)))
            linear.bias.copy_(torch.from_numpy(layer.b.copy()))
        modules += [linear, torch.nn.ReLU(), torch.nn.Dropout(dropout)]
    return torch.nn.Sequential(*modules[:-2])


def draw_race(curves: Mapping[str, Points], goal: float) -> Any:
    """Draw the share of test rows misread against seconds of training, and the goal as a line.

    >>> ax = draw_race({"here": [(1.0, 0.9), (2.0, 0.99)], "there": [(3.0, 0.95)]}, 0.98)
    >>> ax.get_title(loc="left")
    '98 % of test rows are right after: here 2.0 s'
    """
    ax = look.prepare(None)
    lines = {name: np.array(points, float) for name, points in curves.items()}
    wrong = np.concatenate([1 - line[:, 1] for line in lines.values()])
    floor = look.set_log_scale(ax, np.append(wrong, 1 - goal))
    ends = [
        look.draw_curve(ax, (line[:, 0], 1 - line[:, 1]), name, color, floor)
        for (name, line), color in zip(lines.items(), look.PALETTE, strict=False)
    ]
    ax.axhline(1 - goal, color=look.ink_of(ax), alpha=0.5, linewidth=0.8, linestyle=":")
    ax.set_xlim(left=0)
    look.label_ends(ax, ends)
    ax.set_xlabel("seconds of training")
    ax.set_ylabel("share of test rows misread (log scale)")
    first = {
        name: next((seconds for seconds, reached in points if reached >= goal), None)
        for name, points in curves.items()
    }
    told = ", ".join(f"{name} {s:.1f} s" for name, s in first.items() if s is not None)
    look.write_title(ax, f"{goal * 100:g} % of test rows are right after: {told or 'none yet'}")
    return ax
