"""A bad world: streams, homes, languages, processes and disks that are not as one would like."""

import errno
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from chainrule import ModelFileError, Network, files, load_model, save_model
from refusals import LABELS, X, csv

pytestmark = pytest.mark.skipif(os.name == "nt", reason="streams and processes of POSIX")

TABLE = csv({"größe": X[:, 0], "b": X[:, 1], "y": [("no", "já")[label] for label in LABELS]})
TRAIN = ("train", "t.csv", "--target", "y", "--epochs", "3", "--hidden", "4", "--seed", "1")
#: Runs several commands in one process, as starting one takes longer than what they do.
COMMANDS = """
import sys
from chainrule import cli
for words in sys.argv[1].split(";"):
    sys.argv = ["chainrule", *words.split()]
    try:
        cli.main()
    except SystemExit as error:
        assert not error.code, words
"""
ALL = ";".join([
    "predict m.chainrule t.csv", "evaluate m.chainrule t.csv --json", "inspect m.chainrule --json",
    "inspect m.chainrule", "diagnose m.chainrule t.csv", "explain m.chainrule t.csv --row 3",
    "check m.chainrule t.csv --json", " ".join(TRAIN),
])  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Return a folder with a table, a model of it, and the program above."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "t.csv").write_text(TABLE, "utf-8")
    (folder / "commands.py").write_text(COMMANDS)
    done = run(folder, "-m", "chainrule", *TRAIN, "-o", "m.chainrule", "--json")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def here(world, tmp_path):
    """Return a folder of one test's own with what the world has."""
    for name in ("t.csv", "commands.py", "m.chainrule"):
        (tmp_path / name).write_bytes((world / name).read_bytes())
    return tmp_path


def run(folder, *words, env=None, **streams):
    """Run Python, in that folder; only the variables given are changed, None takes one away."""
    changed = {**os.environ, "PYTHONUTF8": None, "PYTHONWARNINGS": "ignore", **(env or {})}
    variables = {name: value for name, value in changed.items() if value is not None}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=variables, timeout=500, **streams
    )


def chainrule(folder, *words, **more):
    return run(folder, "-m", "chainrule", *words, **more)


# Language, home, terminal, optimization -----------------------------------------------------------

POOR = {
    "LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0",
    "PYTHONIOENCODING": "ascii", "HOME": "/proc/nowhere", "TERM": None, "XDG_CACHE_HOME": None,
    "XDG_CONFIG_HOME": None, "MPLCONFIGDIR": None, "COLUMNS": None,
}  # fmt: skip
WORLDS = {
    "all that is poor, without assertions": (POOR, ("-O",)),
    "C": ({"LC_ALL": "C"}, ()),
    "Latin-1": ({"PYTHONIOENCODING": "latin-1"}, ()),
    "a dumb terminal": ({"TERM": "dumb", "COLUMNS": "20"}, ()),
    "assertions and docstrings taken out": ({}, ("-OO",)),
    "a read-only home": ({"HOME": "/proc", "MPLCONFIGDIR": None}, ()),
}


@pytest.mark.parametrize(
    "name",
    [name if name.startswith("all") else pytest.param(name, marks=pytest.mark.slow)
     for name in WORLDS],
)  # fmt: skip
def test_every_command_says_the_same_in_any_world(name, here):
    """Tables and JSON are the same to the letter; what is for people may have escapes."""
    variables, options = WORLDS[name]
    given = run(here, *options, "commands.py", ALL, env=variables, stdin=subprocess.DEVNULL)
    assert (given.returncode, given.stderr) == (0, b"")
    model = (here / "t.chainrule").read_bytes()
    n = len(TABLE.splitlines())
    encoding = "latin-1" if name == "Latin-1" else "utf-8"
    lines = given.stdout.splitlines()
    assert lines[0].decode(encoding) == "größe,b,y,prediction,probability_já,probability_no"
    assert [line.decode(encoding).split(",")[2] for line in lines[1:n]] == [
        line.split(",")[2] for line in TABLE.splitlines()[1:]
    ]
    for line in lines[n : n + 2]:
        json.loads(line.decode(encoding))
    told = json.loads(lines[n + 1].decode(encoding))
    assert told["columns"][0]["name"] == "größe"
    weights = [load_model(here / file)[-1].coefs_ for file in ("t.chainrule", "m.chainrule")]
    assert all((a == b).all() for a, b in zip(*weights, strict=True))
    assert model


# Streams ------------------------------------------------------------------------------------------

LONG = [
    ("predict", "m.chainrule", "t.csv"), ("inspect", "m.chainrule"), ("--help",),
    ("evaluate", "m.chainrule", "t.csv"), ("check", "m.chainrule", "t.csv"),
    ("diagnose", "m.chainrule", "t.csv"), ("explain", "m.chainrule", "t.csv"),
    ("inspect", "m.chainrule", "--json"),
]  # fmt: skip


def in_a_closed_pipe(folder, *words):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        return chainrule(folder, *words, stdout=writing)
    finally:
        os.close(writing)


@pytest.mark.slow
def test_a_reader_that_goes_away_costs_no_model(here):
    """As in `chainrule train … | head -1`."""
    done = in_a_closed_pipe(here, *TRAIN)
    assert (done.returncode, done.stderr) == (141, b"")
    assert load_model(here / "t.chainrule")[-1].n_iter_ == 3


@pytest.mark.slow
@pytest.mark.parametrize("words", LONG, ids=" ".join)
def test_a_closed_pipe_is_quiet(words, here):
    done = in_a_closed_pipe(here, *words)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no such device here")
@pytest.mark.parametrize(
    "words", [TRAIN, *(pytest.param(words, marks=pytest.mark.slow) for words in LONG)], ids=" ".join
)
def test_a_full_standard_output_is_told_and_costs_no_model(words, here):
    with open("/dev/full", "wb") as full:
        done = chainrule(here, *words, stdout=full)
    assert done.returncode == 1
    assert done.stderr == b"chainrule: standard output: No space left on device\n"
    if words == TRAIN:
        assert load_model(here / "t.chainrule")[-1].n_iter_ == 3


@pytest.mark.slow
def test_in_a_daemon_without_any_stream(here):
    """No file that is opened may become standard output by the number it gets."""
    command = f'exec "{sys.executable}" -m chainrule {" ".join(TRAIN)} <&- >&- 2>&-'
    done = subprocess.run(["sh", "-c", command], cwd=here, start_new_session=True, timeout=500)
    assert done.returncode == 0
    assert load_model(here / "t.chainrule")[-1].n_iter_ == 3
    assert (here / "t.csv").read_text("utf-8") == TABLE


@pytest.mark.slow
def test_a_refusal_in_a_daemon(here):
    command = f'exec "{sys.executable}" -m chainrule inspect no.chainrule <&- >&- 2>&-'
    done = subprocess.run(["sh", "-c", command], cwd=here, start_new_session=True, timeout=500)
    assert done.returncode == 1


@pytest.mark.slow
def test_names_of_files_that_are_no_text(here):
    """A name that is not UTF-8 is shown with escapes."""
    name = os.fsdecode(b"caf\xe9.csv")
    (here / name).write_bytes((here / "t.csv").read_bytes())
    done = chainrule(here, "train", name, *TRAIN[2:], "-o", os.fsdecode(b"\xe9.chainrule"))
    assert (done.returncode, done.stderr) == (0, b"")
    done = chainrule(here, "inspect", os.fsdecode(b"\xff.chainrule"))
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1


# Signals ------------------------------------------------------------------------------------------


def test_ctrl_c_while_all_of_it_is_imported(here):
    """A stand-in for one of the libraries sends it, just when that is imported."""
    (here / "click.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    done = chainrule(here, *TRAIN)
    assert (done.returncode, done.stdout) == (130, b"")
    assert done.stderr == b"chainrule: interrupted\n"
    assert not (here / "t.chainrule").exists()


def end_with(number, here, moment):
    """Train until a checkpoint is there, and so long more; then send the signal."""
    words = [*TRAIN, "--epochs", "5000", "--patience", "5000", "--checkpoint", "kept", "--force"]
    command = [sys.executable, "-m", "chainrule", *words]
    with subprocess.Popen(command, cwd=here, stdout=-1, stderr=-1) as process:
        while process.poll() is None and not list(here.glob("kept/*/LATEST")):
            time.sleep(0.01)
        time.sleep(moment)
        process.send_signal(number)
        error = process.communicate()[1]
    assert process.returncode == 128 + number
    assert error.startswith(b"chainrule: interrupted; the best weights so far are in t.chainrule")
    assert error.count(b"\n") == 1
    model = load_model(here / "t.chainrule")[-1]
    assert model.stop_reason_.startswith("interrupted after")


def test_ctrl_c_keeps_the_best_weights(here):
    end_with(signal.SIGINT, here, 0)


@pytest.mark.slow
@pytest.mark.parametrize("moment", [0, 0.03, 0.2, 0.5, 1])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_at_many_moments(number, moment, here):
    end_with(number, here, moment)


# Processes ----------------------------------------------------------------------------------------

WORKERS = """
import multiprocessing, os, sys, threading, warnings
import numpy as np
from joblib import Parallel, delayed
from chainrule import MLPRegressor

X = np.random.default_rng(0).normal(size=(500, 6))

def bits(seed=0):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MLPRegressor(hidden_layer_sizes=(64, 64), max_iter=3, random_state=seed,
                             batch_size=250, n_threads=2).fit(X, X[:, 0])
    trained = b"".join(W.tobytes() for W in model.coefs_)
    # NumPy's products, without the native engine, round by the threads that a worker leaves them.
    return trained + (model.predict(X).tobytes() if model.engine_ == "native" else b"")

def put(queue):
    queue.put(bits())

if __name__ == "__main__":
    truth = bits()                                   # the pool of threads is running
    for context in ("fork", "spawn"):                # and a fork has none of it
        ways = multiprocessing.get_context(context)
        queue = ways.Queue()
        child = ways.Process(target=put, args=(queue,), daemon=True)
        child.start()
        assert queue.get(timeout=400) == truth, context
        child.join(400)
        assert child.exitcode == 0, context
    for backend in ("loky", "threading", "multiprocessing"):
        found = Parallel(n_jobs=2, backend=backend)(delayed(bits)() for _ in range(3))
        assert found == [truth] * 3, backend
    found = []
    threads = [threading.Thread(target=lambda: found.append(bits())) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join(400) for thread in threads]
    assert found == [truth] * 4
    print("done")
"""


@pytest.mark.slow
def test_inside_workers_forks_daemons_and_threads(tmp_path):
    """All of them train the same bits."""
    (tmp_path / "workers.py").write_text(WORKERS)
    done = run(tmp_path, "workers.py")
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == b"done\n"


WRITERS = """
import sys
from chainrule import Network, save_model
seed, force = int(sys.argv[1]), sys.argv[2] == "force"
net, mine = Network([20, 20, 1], seed=seed), []
print("ready", flush=True)
sys.stdin.readline()
for i in range(40):
    try:
        save_model(net, "net.chainrule" if force else f"{i}.chainrule", force=force)
        mine.append(i)
    except FileExistsError as error:
        assert "exists already; choose another name" in str(error), error
print(*mine)
"""


def race(folder, mode):
    """Run two writers at once; return the numbers that each of them wrote."""
    (folder / "writers.py").write_text(WRITERS)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    words = [[sys.executable, "writers.py", seed, mode] for seed in "12"]
    processes = [subprocess.Popen(each, cwd=folder, text=True, **pipes) for each in words]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 2
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    yield processes
    told = [process.communicate(timeout=400) for process in processes]
    assert [error for _, error in told] == ["", ""]
    yield [list(map(int, out.split())) for out, _ in told]


@pytest.mark.slow
def test_two_processes_write_one_model_and_a_third_reads_it(tmp_path):
    """Whoever reads finds one or the other, whole."""
    nets = [Network([20, 20, 1], seed=seed).theta for seed in (1, 2)]
    course = race(tmp_path, "force")
    processes, reads = next(course), 0
    while any(process.poll() is None for process in processes) or not reads:
        if (tmp_path / "net.chainrule").exists():
            theta = load_model(tmp_path / "net.chainrule").theta
            assert any((theta == net).all() for net in nets)
            reads += 1
    assert next(course) == [list(range(40))] * 2
    assert sorted(os.listdir(tmp_path)) == ["net.chainrule", "writers.py"]


@pytest.mark.slow
def test_two_processes_write_one_new_model_and_one_succeeds(tmp_path):
    """Without force nothing is overwritten, not even what came between the look and the writing."""
    course = race(tmp_path, "new")
    next(course)
    one, other = next(course)
    assert sorted(one + other) == list(range(40))
    nets = {seed: Network([20, 20, 1], seed=seed).theta for seed in (1, 2)}
    for seed, numbers in ((1, one), (2, other)):
        for i in numbers:
            assert (load_model(tmp_path / f"{i}.chainrule").theta == nets[seed]).all()
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".part")]


def test_what_came_between_the_look_and_the_writing_stays(tmp_path, monkeypatch):
    path = tmp_path / "there"
    path.write_text("mine")
    look, looks = files.refuse_overwrite, []

    def second(*given):
        looks.append(given)
        if len(looks) > 1:
            look(*given)

    monkeypatch.setattr(files, "refuse_overwrite", second)
    with pytest.raises(FileExistsError, match="there exists already; choose another name"):
        files.write_whole(path, b"theirs")
    assert path.read_text() == "mine"
    assert os.listdir(tmp_path) == ["there"]


def test_a_disk_without_hard_links(tmp_path, monkeypatch):
    def unable(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", unable)
    files.write_whole(tmp_path / "new", b"whole")
    assert (tmp_path / "new").read_bytes() == b"whole"
    assert os.listdir(tmp_path) == ["new"]


def test_a_model_in_a_pipe_is_refused_in_words(tmp_path):
    save_model(Network([1, 1], seed=0), tmp_path / "net.chainrule")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelFileError, match="it is a pipe or a device; copy what it gives"):
        load_model(tmp_path / "pipe")
    with pytest.raises(ModelFileError, match="it is a pipe or a device"):
        load_model("/dev/null")
