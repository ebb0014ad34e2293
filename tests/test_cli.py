"""The command line on a user's own table, from `train` to `check`, as a user would run it."""

import json
import re
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from chainrule import cli
from chainrule.demo import penguins
from chainrule.tabular import TableModel

COMMANDS = ("train", "predict", "evaluate", "inspect", "check", "explain", "diagnose", "demo")


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run the command line in an empty folder; return exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def run_it(*words):
        monkeypatch.setattr(sys, "argv", ["chainrule", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return (stop.value.code or 0, *capsys.readouterr())

    return run_it


@pytest.fixture(scope="module")
def table():
    """Penguins as a user has them: text, gaps, an id, and a date."""
    frame = penguins()
    days = pl.date_range(pl.date(2007, 1, 1), pl.date(2007, 12, 31), eager=True)
    return frame.with_columns(
        bird_id=pl.Series([f"bird-{i:04d}" for i in range(frame.height)]),
        seen=pl.Series([days[i % 365] for i in range(frame.height)]),
    )


def test_train_predict_evaluate_inspect_check(run, table, tmp_path):
    held_out = pl.int_range(table.height, eager=True) % 4 == 0
    table.filter(~held_out).write_csv(tmp_path / "birds.csv")
    table.filter(held_out).write_csv(tmp_path / "new.csv")

    code, out, _ = run("train", "birds.csv", "--target", "species", "--epochs", "60")
    assert code == 0
    assert "one of 3 classes" in out
    assert "bird_id" in out  # left out, and said
    written = {path.name for path in (tmp_path / "birds-report").iterdir()}
    assert written == {
        "confusion_matrix.png", "gradient_norms.png", "loss.png", "metric.png", "report.json",
    }  # fmt: skip
    report = json.loads((tmp_path / "birds-report" / "report.json").read_text())
    assert report["scores"]["accuracy"] > 0.9 > report["baseline"]["accuracy"]

    code, out, _ = run("predict", "birds.chainrule", "new.csv", "-o", "answers.csv")
    assert (code, out) == (0, "")
    answers = pl.read_csv(tmp_path / "answers.csv")
    assert answers.columns == [
        *table.columns, "prediction",
        "probability_Adelie", "probability_Chinstrap", "probability_Gentoo",
    ]  # fmt: skip
    right = (answers["prediction"] == answers["species"]).mean()
    assert right > 0.9
    probabilities = answers.select(pl.col("^probability_.*$")).to_numpy()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)

    code, out, _ = run("evaluate", "birds.chainrule", "new.csv", "--json")
    assert json.loads(out)["scores"]["accuracy"] == pytest.approx(right)

    code, out, _ = run("inspect", "birds.chainrule", "--json")
    assert code == 0
    assert json.loads(out)["about"]["target"] == "species"

    notes = json.loads(out)["about"]["notes"]
    _, out, _ = run("inspect", "birds.chainrule")
    lines = [line.removeprefix("notes").strip() for line in out.splitlines()]
    assert [note[:40] for note in notes if note[:40] not in {line[:40] for line in lines}] == []

    code, out, _ = run("check", "birds.chainrule", "birds.csv")
    assert code == 0
    assert "passed" in out


def test_a_number_is_predicted_in_its_own_units(run, table, tmp_path):
    table.write_parquet(tmp_path / "birds.parquet")
    code, out, _ = run("train", "birds.parquet", "--target", "body_mass_g", "--json")
    facts = json.loads(out)
    assert (code, facts["task"]) == (0, "number")
    assert facts["scores"]["r2"] > 0.75
    assert (tmp_path / "birds-report" / "prediction.png").exists()
    code, out, _ = run("predict", "birds.chainrule", "birds.parquet")
    answers = pl.read_csv(out.encode())["prediction"]
    assert 2500 < answers.min() < answers.max() < 6500


def test_task_overrides_what_was_found(run, table, tmp_path):
    table.write_csv(tmp_path / "birds.csv")
    _, out, _ = run(
        "train", "birds.csv", "--target", "year", "--task", "number", "--epochs", "3", "--json"
    )
    assert json.loads(out)["task"] == "number"


@pytest.mark.parametrize("solver", ["lbfgs", "rprop", "sgd"])
def test_every_kind_of_solver(run, table, tmp_path, solver):
    table.write_csv(tmp_path / "birds.csv")
    code, out, _ = run(
        "train",
        "birds.csv",
        "--target",
        "sex",
        "--solver",
        solver,
        "--epochs",
        "20",
        "--learning-rate",
        "0.02",
        "--json",
    )
    assert code == 0
    assert json.loads(out)["scores"]["accuracy"] > 0.7
    assert any("rows without target" in note for note in json.loads(out)["notes"])


def test_a_time_limit_ends_every_try_and_a_model_is_written(run, table, tmp_path):
    table.write_csv(tmp_path / "birds.csv")
    words = ["train", "birds.csv", "--target", "species", "--epochs", "100000", "--patience"]
    code, out, _ = run(*words, "100000", "--time-limit", "0.6")
    assert code == 0
    assert re.search(r"stopped: time_limit=0\.[23]\d* seconds were over after \d+ epochs", out)
    assert "dropout tried, with validation loss: 0.4" in out
    assert run("evaluate", "birds.chainrule", "birds.csv")[0] == 0


def test_a_rare_class_weighs_as_much_where_it_is_to(run, table, tmp_path):
    rare = pl.DataFrame({"x": [*range(100)], "y": ["often"] * 90 + ["rarely"] * 10})
    rare.with_columns(x=pl.col("x") % 10).write_csv(tmp_path / "rare.csv")  # x tells nothing
    words = ["--target", "y", "--epochs", "30", "--dropout", "0", "--learning-rate", "0.01"]
    for more, likely in (([], 0.1), (["--class-weight", "balanced"], 0.5)):
        assert run("train", "rare.csv", *words, *more, "--force")[0] == 0
        answers = pl.read_csv(run("predict", "rare.chainrule", "rare.csv")[1].encode())
        assert answers["probability_rarely"].mean() == pytest.approx(likely, abs=0.1)
    table.write_csv(tmp_path / "birds.csv")
    words = ["train", "birds.csv", "--target", "body_mass_g", "--class-weight", "balanced"]
    code, _, err = run(*words)
    assert code == 1
    assert "target 'body_mass_g' is read as a number; leave it out, or" in err


def test_a_shorter_gradient_takes_shorter_steps(run, table, tmp_path):
    table.write_csv(tmp_path / "birds.csv")
    words = ["train", "birds.csv", "--target", "sex", "--solver", "sgd", "--dropout", "0"]
    thetas = []
    words += ["--epochs", "1", "--learning-rate", "0.001", "--force"]
    for norm in ("1e-6", "1e-5"):
        assert run(*words, "--clip-norm", norm)[0] == 0
        model = TableModel.load(tmp_path / "birds.chainrule").network
        thetas.append(np.concatenate([W.ravel() for W in model.coefs_]))
        steps = model.history_[0]["updates"]
        assert model.history_[0]["gradient_norm"] > 1e-3  # before it is shortened
    # From one start, by steps that momentum 0.9 makes at most rate · norm / (1 − 0.9) long.
    assert 0 < np.linalg.norm(thetas[1] - thetas[0]) <= steps * 1e-3 * 1.1e-5 / (1 - 0.9)


@pytest.mark.slow
def test_same_seed_same_bytes_in_a_second_process(run, table, tmp_path):
    table.write_csv(tmp_path / "birds.csv")
    words = ["train", "birds.csv", "--target", "species", "--epochs", "5", "-o"]
    assert run(*words, "first.chainrule")[0] == 0
    command = [sys.executable, "-c", "from chainrule.cli import main; main()"]
    subprocess.run([*command, *words, "second.chainrule"], cwd=tmp_path, check=True)
    weights = [_weights(tmp_path / f"{name}.chainrule") for name in ("first", "second")]
    assert weights[0] == weights[1]


def _weights(path):
    from chainrule import load_model

    return [array.tobytes() for array in load_model(path)[-1].coefs_]


@pytest.mark.slow
def test_a_healthy_training_ends_calmly_and_a_sick_one_says_why(run, table, tmp_path):
    """What is serious stands at the end of train; `diagnose` tells all of it."""
    table.write_csv(tmp_path / "birds.csv")
    words = ["train", "birds.csv", "--target", "species"]
    _, out, _ = run(*words)
    assert "diagnosis" not in out
    code, out, _ = run("diagnose", "birds.chainrule", "birds.csv")
    assert code == 0
    assert out.startswith("Diagnosis: healthy")
    leaked = table.with_columns(grams=pl.col("body_mass_g") * 2)
    leaked.write_csv(tmp_path / "leak.csv")
    words = ["train", "leak.csv", "--target", "body_mass_g", "--epochs", "20"]
    _, out, _ = run(*words)
    end = out[out.index("diagnosis: ") :]
    assert "see: chainrule diagnose leak.chainrule leak.csv" in end
    assert "column 'grams'" in end
    assert "→ Drop it" in end
    _, out, _ = run(*words, "--json", "--force")
    kinds = [each["kind"] for each in json.loads(out)["diagnosis"]["findings"]]
    assert kinds[0] == "target_among_features"
    code, out, _ = run("diagnose", "leak.chainrule", "leak.csv", "--json")
    assert json.loads(out)["findings"][0]["kind"] == kinds[0]
    assert json.loads(out)["rows"] == 342


def test_the_command_line_is_told_its_own_options(run, table, tmp_path):
    table.write_csv(tmp_path / "birds.csv")
    words = ["train", "birds.csv", "--target", "species", "--solver", "sgd", "--epochs", "30"]
    _, out, _ = run(*words, "--learning-rate", "1e-6")
    assert re.search(r"→ Try --learning-rate \S+", out)


@pytest.mark.slow
def test_demo_goes_the_whole_way(run, tmp_path):
    code, out, _ = run("demo")
    assert code == 0
    assert out.count("gradients equal finite differences") == 2
    assert (tmp_path / "chainrule-demo" / "penguins-predictions.csv").exists()


def test_help_names_every_command(run):
    code, out, _ = run("--help")
    assert code == 0
    assert all(command in out for command in COMMANDS)
    assert "chainrule demo" in out


def test_help_of_a_command_tells_arguments_defaults_and_what_is_required(run):
    code, out, _ = run("train", "--help")
    assert code == 0
    said = " ".join(out.split())
    assert "train [OPTIONS] TABLE Fit a network" in said
    assert "Arguments: TABLE CSV (gzip too) or Parquet file; - is standard input. Opt" in said
    assert "--target COLUMN Column to predict. [required]" in said
    assert "--hidden SIZES Units of each hidden layer; '' for none. [default: 128,64]" in said
    assert "[default: False]" not in said
