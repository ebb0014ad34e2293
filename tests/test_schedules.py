"""Schedules: each by its formula, at its ends, and as a pure function of the update."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.network import Network
from chainrule.optimizers import SGD
from chainrule.schedules import (
    SCHEDULES,
    Constant,
    Cosine,
    ExponentialDecay,
    ExponentialRise,
    InverseScaling,
    OneCycle,
    PlateauMemory,
    ReduceOnPlateau,
    StepDecay,
    get_schedule,
)
from chainrule.training import train


def factors(schedule, per_epoch=4, total=40):
    return np.array([schedule.factor(t, per_epoch, total) for t in range(1, total + 1)])


def test_formulas():
    t = np.arange(1, 41)
    assert (factors(Constant()) == 1).all()
    assert factors(InverseScaling(0.2)) == pytest.approx(t**-0.2)
    assert factors(ExponentialDecay(0.9)) == pytest.approx(0.9 ** ((t - 1) / 4))
    assert factors(StepDecay(0.5, 3)) == pytest.approx(0.5 ** ((t - 1) // 4 // 3))


def test_step_decay_falls_at_the_first_update_of_its_epoch():
    assert factors(StepDecay(0.1, 2), per_epoch=2, total=9).round(9).tolist() == [
        *[1.0] * 4,
        *[0.1] * 4,
        0.01,
    ]


def test_cosine_rises_and_falls_to_its_floor():
    f = factors(Cosine(warm_up=0.25, floor=0.1))
    assert f[:10] == pytest.approx(np.arange(1, 11) / 10)
    assert (np.diff(f[9:]) < 0).all()
    assert f[24] == pytest.approx(0.55)  # halfway down, between 1 and 0.1
    assert f[-1] == pytest.approx(0.1)


def test_one_cycle_starts_low_peaks_and_ends_lower():
    f = factors(OneCycle(peak=0.25, start=20, end=1e3))
    assert 1 / 20 < f[0] < 0.1
    assert np.argmax(f) == 9
    assert f[9] == pytest.approx(1)
    assert f[-1] == pytest.approx(1e-3)
    assert (np.diff(f[:10]) > 0).all()
    assert (np.diff(f[9:]) < 0).all()


def test_the_exponential_rise_is_even_on_a_log_scale_and_ends_at_1():
    f = factors(ExponentialRise(1e6))
    assert f == pytest.approx(np.geomspace(1e-6, 1, 40))
    assert f[-1] == 1
    assert ExponentialRise(1e6).factor(50, 4, 40) == 1
    assert ExponentialRise(1e6).factor(1, 1, 1) == 1


@pytest.mark.parametrize("name", sorted(SCHEDULES))
@given(total=st.integers(1, 500), per_epoch=st.integers(1, 50))
def test_factors_lie_between_0_and_1_even_in_short_trainings(name, total, per_epoch):
    f = factors(SCHEDULES[name](), per_epoch, total)
    assert ((f >= 0) & (f <= 1)).all()
    assert f[: max(1, total - 1)].all()
    assert isinstance(SCHEDULES[name]().factor(1, per_epoch, total), float)


def test_plateau_waits_then_drops_then_gives_up():
    schedule = ReduceOnPlateau(drop=0.1, patience=2, min_delta=0.0, lowest=0.02)
    memory, seen = PlateauMemory(), []
    for loss in [1.0, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9]:
        schedule.after_epoch(memory, loss, rate=0.1 * memory.factor)
        seen.append(round(memory.factor, 9))
    assert seen == [1, 1, 1, 1, 0.1, 0.1, 0.1, 0.01]
    assert memory.exhausted  # it waited with a rate of 0.01, below the lowest


def test_plateau_lowers_the_rate_of_a_training_and_ends_it():
    X = np.ones((4, 1))
    net = Network([1, 1], ["identity"], initializers="zeros")
    schedule = ReduceOnPlateau(drop=0.5, patience=1, lowest=0.01)
    history = train(net, X, 0 * X, optimizer=SGD(0.1), schedule=schedule, epochs=100)
    rates = history["rate"]
    assert set(np.round(np.array(rates[1:]) / rates[:-1], 6)) == {1.0, 0.5}
    assert "lowest value on a plateau" in history.stop_reason
    assert len(history) < 20


def test_the_rate_is_recorded_and_used():
    """Decay by the square root of the update: w moves by η / √t at a gradient of 1."""
    X = np.ones((3, 1))
    net = Network([1, 1], ["identity"], initializers="zeros")
    history = train(
        net,
        X,
        X,
        loss="absolute_error",
        optimizer=SGD(0.01),
        schedule=InverseScaling(0.5),
        batch_size=1,
        epochs=2,
    )
    t = np.arange(1, 7)
    assert net.W[0].item() == pytest.approx((0.01 / np.sqrt(t)).sum())
    assert history["rate"] == pytest.approx([0.01 / 3**0.5, 0.01 / 6**0.5])


def test_names_and_objects():
    assert get_schedule("cosine") == Cosine()
    mine = StepDecay(0.3)
    assert get_schedule(mine) is mine
    with pytest.raises(ValueError, match="schedule='cosin' is unknown; did you mean 'cosine'"):
        get_schedule("cosin")
