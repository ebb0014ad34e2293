"""Recorder: the distribution of weights and activations, epoch by epoch, to be drawn later."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.arrays import Array, is_whole
from chainrule.callbacks.base import Callback
from chainrule.data import as_matrix
from chainrule.history import History
from chainrule.network import Network


@dataclass
class HistogramRecorder(Callback):
    """Keep histograms of each layer's weights, and of its activations on some rows.

    `records` holds one dict for each epoch looked at, epoch 0 being before the first update:
    "epoch", "weights" and "activations", the latter two a list of (counts (bins,), edges
    (bins + 1,)), one per layer. Numbers that are not finite are left out.

    Parameters
    ----------
    X : array-like (n, inputs), optional
        Rows on which activations are looked at; without them "activations" is empty.
    every : int
        Look each so many epochs.
    bins : int
        Cells of a histogram.

    Raises
    ------
    ValueError
        Before the first update, for rows that do not fit the network, or numbers under 1.

    Examples
    --------
    >>> from chainrule import Network, train
    >>> recorder = HistogramRecorder(X=[[1.0]], every=2)
    >>> history = train(Network([1, 4, 1]), [[1.0]], [[2.0]], epochs=4, callbacks=[recorder])
    >>> [record["epoch"] for record in recorder.records]
    [0, 2, 4]
    >>> counts, edges = recorder.records[-1]["weights"][0]
    >>> int(counts.sum()), len(edges)  # 4 weights in 64 cells
    (4, 65)
    """

    X: Any = None
    every: int = 1
    bins: int = 64
    records: list[dict[str, Any]] = field(init=False, repr=False, default_factory=list)

    def check(self) -> None:
        for name in ("every", "bins"):
            if not is_whole(getattr(self, name), 1):
                raise ValueError(f"{name}={getattr(self, name)!r} must be a whole number >= 1")
        if self.X is not None:
            network = self.training.network
            as_matrix(self.X, "X", network.dtype, network.sizes[0])

    def on_train_begin(self, network: Network, history: History) -> None:
        self.records = []
        self._look(network, 0)

    def state(self) -> dict[str, Any]:
        """Return the records with the counts and edges of all epochs (epochs, layers, …) stacked,
        as thousands of small arrays would take a file long."""
        kept: dict[str, Any] = {"epoch": [record["epoch"] for record in self.records]}
        for name in ("weights", "activations"):
            for part, what in enumerate(("counts", "edges")):
                kept[f"{name} {what}"] = np.array(
                    [[layer[part] for layer in record[name]] for record in self.records]
                )
        return kept

    def on_train_resume(self, network: Network, history: History, state: dict[str, Any]) -> None:
        self.records = [
            {"epoch": epoch}
            | {
                name: list(zip(state[f"{name} counts"][i], state[f"{name} edges"][i], strict=True))
                for name in ("weights", "activations")
            }
            for i, epoch in enumerate(state["epoch"])
        ]

    def on_epoch_end(self, network: Network, history: History) -> None:
        epoch = history.records[-1]["epoch"]
        if epoch % self.every == 0:
            self._look(network, epoch)

    def _look(self, network: Network, epoch: int) -> None:
        activations = [] if self.X is None else network.forward(self.X).A[1:]
        self.records.append(
            {
                "epoch": epoch,
                "weights": [self._histogram(W) for W in network.W],
                "activations": [self._histogram(A) for A in activations],
            }
        )

    def _histogram(self, values: Array) -> tuple[Array, Array]:
        return np.histogram(values[np.isfinite(values)].astype(np.float64), bins=self.bins)
