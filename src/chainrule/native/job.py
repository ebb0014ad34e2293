"""Job: the structure that a call of the native library works on, member by member as in job.h."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any, ClassVar

from chainrule.sparse import Rows

ACTIVATION_SETTINGS, LOSS_SETTINGS, SETTINGS = 4, 128, 8

_WHOLE, _REAL, _ADDRESS = ctypes.c_int64, ctypes.c_double, ctypes.c_void_p


def _members(kind: type, names: str) -> list[tuple[str, type]]:
    return [(name, kind) for name in names.split()]


class Layer(ctypes.Structure):
    """One layer: its shape, activation and dropout."""

    _fields_: ClassVar = [
        *_members(_WHOLE, "n_in n_out activation"),
        ("settings", _REAL * ACTIVATION_SETTINGS),
        ("dropout", _REAL),
    ]


@cache
def several(kind: Any, count: int) -> Any:
    """Return the type of an array of `count`, made once: it is a cycle that only gc frees."""
    return kind * count


class Job(ctypes.Structure):
    """Plan, data, state and memory of one call."""

    sparse: Rows | None = None  # not in the library's: keeps what `starts` and `columns` point at

    _fields_: ClassVar = [
        *_members(_WHOLE, "width isa threads n_layers"),
        ("layers", ctypes.POINTER(Layer)),
        ("rows", _WHOLE),
        *_members(_ADDRESS, "X Y weights starts columns"),
        ("chunk_nonzeros", _WHOLE),
        *_members(_WHOLE, "batch_size epochs shuffle every_row seed"),
        *_members(_WHOLE, "loss canonical optimizer slots_used schedule"),
        ("loss_settings", _REAL * LOSS_SETTINGS),
        *_members(_REAL * SETTINGS, "optimizer_settings schedule_settings penalty"),
        *_members(_WHOLE, "penalised keep_gradient"),
        *_members(_REAL, "clip_value clip_norm stop_below weight_decay ema_decay"),
        *_members(_ADDRESS, "theta gradient"),
        ("slots", _ADDRESS * 2),
        *_members(_ADDRESS, "average norm_squares"),
        *_members(_WHOLE, "t epoch batch epoch_updates"),
        *_members(_REAL, "loss_sum weight_sum worst_row seconds plateau best"),
        ("best_epoch", _WHOLE),
        ("best_theta", _ADDRESS),
        ("records", _ADDRESS),
        *_members(_WHOLE, "every kept completed fault_kind fault_layer"),
        *_members(_ADDRESS, "arena order"),
        *_members(_WHOLE, "order_epoch only_batch wide"),
    ]
