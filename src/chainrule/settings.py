"""Settings: how the main job trains on a table, each default said once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """How to train on a table; the defaults are those of the command line."""

    task: str | None = None
    hidden: tuple[int, ...] = (128, 64)
    activation: str = "silu"
    solver: str = "adam"
    learning_rate: float = 1e-3
    schedule: str = "constant"
    dropout: float | None = None  # None: with and without are tried, see `tabular.MARGIN`
    epochs: int = 200
    patience: int = 20
    batch_size: int | None = None  # None: a hundredth of the rows, from 32 to 256
    seed: int = 0
    validation: float = 0.2
    engine: str = "auto"
    n_threads: int | None = None
    time_limit: float | None = None  # seconds of training, for all that is tried together
    class_weight: str | None = None  # "balanced": rare classes weigh as much as frequent ones
    clip_norm: float | None = None  # the gradient's longest norm
