"""The process that draws: what it is told is drawn, and it goes when it is not wanted."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from chainrule.classics import half_adder
from chainrule.classics.drawing import Drawer
from chainrule.classics.pictures import draw_ladder
from chainrule.plots import save_figure

LADDER = partial(draw_ladder, {"digits": [0.9, 0.95]}, ["none", "32"])


def gone(pid):
    """Whether a process has ended, or does within a minute; a zombie has."""
    for _ in range(600):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
            os.kill(pid, 0)
        except OSError:
            return True
        time.sleep(0.1)
    return False


def test_its_pictures_are_those_drawn_here(tmp_path):
    with Drawer(tmp_path / "new") as drawer:
        for name in ("one.png", "two.png"):
            drawer.draw(name, LADDER)
        assert drawer.finish() == [tmp_path / "new" / name for name in ("one.png", "two.png")]
    save_figure(LADDER(), tmp_path / "here.png", tight=False)
    here = (tmp_path / "here.png").read_bytes()
    assert [path.read_bytes() for path in sorted((tmp_path / "new").iterdir())] == [here, here]
    assert drawer.process.returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="there are no sessions")
def test_ctrl_c_is_not_for_it(tmp_path):
    with Drawer(tmp_path) as drawer:
        assert os.getsid(drawer.process.pid) == drawer.process.pid != os.getsid(0)
        drawer.finish()


def draw_two(folder, force=False):
    with Drawer(folder, force=force) as drawer:
        for name in ("one.png", "two.png"):
            drawer.draw(name, LADDER)
        drawer.finish()


def test_an_error_there_is_told_here_and_the_others_are_drawn(tmp_path):
    (tmp_path / "one.png").write_text("mine")
    with pytest.raises(FileExistsError, match="exists already"):
        draw_two(tmp_path)
    assert (tmp_path / "one.png").read_text() == "mine"
    assert (tmp_path / "two.png").stat().st_size > 1_000
    draw_two(tmp_path, force=True)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_its_end_by_somebody_is_told(tmp_path):
    with Drawer(tmp_path) as drawer:
        drawer.process.kill()
        drawer.draw("one.png", LADDER)
        with pytest.raises(RuntimeError, match="the process that draws ended with code"):
            drawer.finish()


def test_it_ends_with_an_error_here(tmp_path):
    def interrupted():
        with drawer:
            for k in range(50):
                drawer.draw(f"{k}.png", LADDER)
            raise KeyboardInterrupt

    drawer = Drawer(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert drawer.process.returncode
    assert len(list(tmp_path.iterdir())) < 50


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_it_ends_with_a_process_that_is_killed_and_says_nothing(tmp_path):
    code = """if True:
        import os, signal, time
        from chainrule.classics.drawing import Drawer
        from pathlib import Path
        drawer = Drawer(Path("."))
        print(drawer.process.pid, flush=True)
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == -signal.SIGKILL
    assert gone(int(done.stdout))
    assert done.stderr == ""


def test_modules_that_lie_about_are_not_taken(tmp_path, monkeypatch):
    for name in ("matplotlib", "typing", "numpy"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not this one')")
    monkeypatch.chdir(tmp_path)
    with Drawer(Path("drawn")) as drawer:
        drawer.draw("one.png", LADDER)
        drawer.finish()
    assert (tmp_path / "drawn" / "one.png").stat().st_size > 1_000


def test_the_half_adder_tells_its_pictures_as_they_come(tmp_path):
    told = []
    with Drawer(tmp_path) as drawer:

        def draw(name, drawing):
            told.append(name)
            drawer.draw(name, drawing)

        result = half_adder.run(starts=1, draw=draw)
        paths = drawer.finish()
    assert told == [*result.drawings] == ["cost.png", "starts.png", "failures.png"]
    assert [path.name for path in paths] == told
    result.draw(tmp_path / "here")
    for path in paths:
        assert path.read_bytes() == (tmp_path / "here" / path.name).read_bytes()
