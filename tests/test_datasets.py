"""Datasets: found in a folder, fetched from a mirror, or refused with what to do."""

import gzip
import hashlib
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from chainrule import datasets, load_dataset
from chainrule.datasets.idx import read_idx
from mnist import MNIST, idx, needs_mnist

rng = np.random.default_rng(0)
PARTS = {
    "X": rng.integers(0, 256, (6, 2, 3)),
    "y": rng.integers(0, 10, 6),
    "X_test": rng.integers(0, 256, (4, 2, 3)),
    "y_test": rng.integers(0, 10, 4),
}


@pytest.fixture
def folder(tmp_path):
    """A folder with small files of the names of MNIST's, two of them packed."""
    there = tmp_path / "there"
    there.mkdir()
    for part, name in datasets.MNIST.items():
        packed = part.startswith("X")
        content = idx(PARTS[part])
        (there / f"{name}{'.gz' if packed else ''}").write_bytes(
            gzip.compress(content) if packed else content
        )
    return there


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A mirror on this machine that has the small files; the cache is empty."""
    served = tmp_path / "served"
    served.mkdir()
    for part, name in datasets.MNIST.items():
        (served / f"{name}.gz").write_bytes(gzip.compress(idx(PARTS[part])))
        monkeypatch.setitem(datasets.SHA256, part, hashlib.sha256(idx(PARTS[part])).hexdigest())

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=served))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"
    monkeypatch.setattr(datasets, "MIRRORS", ("http://127.0.0.1:9/", address))  # 9: nobody there
    monkeypatch.setenv("CHAINRULE_DATA", str(tmp_path / "cache"))
    yield served
    server.shutdown()
    server.server_close()


def same(data):
    assert pytest.approx(PARTS["X"].reshape(6, 6) / 255, rel=1e-6) == data.X
    assert data.X_test == pytest.approx(PARTS["X_test"].reshape(4, 6) / 255, rel=1e-6)
    assert data.y.tolist() == PARTS["y"].tolist()
    assert data.y_test.tolist() == PARTS["y_test"].tolist()


def test_a_folder_of_packed_and_plain_files(folder):
    same(load_dataset("mnist", folder=folder))


def test_a_folder_that_the_environment_names(folder, monkeypatch):
    folder.rename(folder.with_name("mnist"))
    monkeypatch.setenv("CHAINRULE_DATA", str(folder.parent))
    same(load_dataset("mnist", download=False))


def test_a_download_is_checked_kept_and_not_repeated(mirror, tmp_path, capsys):
    same(load_dataset("mnist"))
    assert capsys.readouterr().err.count("downloading http") == 4  # from the second mirror
    kept = sorted(path.name for path in (tmp_path / "cache" / "mnist").iterdir())
    assert kept == sorted(f"{name}.gz" for name in datasets.MNIST.values())
    for path in mirror.iterdir():
        path.unlink()
    same(load_dataset("mnist"))
    assert capsys.readouterr().err == ""


def test_a_terminal_sees_a_bar(mirror, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    load_dataset("mnist")
    shown = capsys.readouterr().err
    assert "train-images-idx3-ubyte.gz" in shown
    assert "bytes" in shown


@pytest.mark.parametrize("damage", ["other", "cut", "no gzip"])
def test_what_is_not_the_file_is_not_kept(damage, mirror, tmp_path):
    first = mirror / f"{datasets.MNIST['X']}.gz"
    content = first.read_bytes()
    changed = {"other": gzip.compress(idx([[[1]]])), "cut": content[:-9], "no gzip": b"<html>"}
    first.write_bytes(changed[damage])
    with pytest.raises(
        OSError, match=r"could not be downloaded .*Without a network, copy the files"
    ):
        load_dataset("mnist", progress=False)
    assert not (tmp_path / "cache").exists()


def test_without_a_network_it_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(datasets, "MIRRORS", ("http://127.0.0.1:9/",))
    monkeypatch.setenv("CHAINRULE_DATA", str(tmp_path))
    with pytest.raises(
        OSError, match=r"could not be downloaded \(http.*refused.*--data DIR"
    ) as error:
        load_dataset("mnist", progress=False)
    assert "\n" not in str(error.value)


def test_what_is_missing_is_named(tmp_path, folder):
    with pytest.raises(FileNotFoundError, match="holds no train-images-idx3-ubyte, packed"):
        load_dataset("mnist", folder=tmp_path)
    with pytest.raises(ValueError, match="dataset='minst' is unknown; did you mean 'mnist'"):
        load_dataset("minst")
    (folder / datasets.MNIST["y"]).write_bytes(idx([1, 2]))
    with pytest.raises(ValueError, match=r"shape \(6, 2, 3\).*\(2,\); expected images"):
        load_dataset("mnist", folder=folder)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no IDX file"),
        (b"<html>no</html>", "no IDX file"),
        (idx([1, 2, 3])[:-1], "holds 2 bytes after its header; expected 3 = 3"),
        (idx([1, 2, 3]) + b"x", "cut off or damaged"),
        (idx([[1]])[:6], "no IDX file"),
        (gzip.compress(idx([1, 2]), mtime=0)[:-2], "is cut off"),
        (b"\x1f\x8b" + bytes(20), "cannot be unpacked"),
    ],
)
def test_a_damaged_file_is_refused(content, said, tmp_path):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError, match=said):
        read_idx(tmp_path / "file")


def test_a_file_that_unpacks_to_very_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.idx, "LARGEST", 1000)
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(bytes(100_000)))
    with pytest.raises(ValueError, match="unpacks to more than 1,000 bytes"):
        read_idx(tmp_path / "bomb.gz")


@needs_mnist
def test_mnist_is_mnist():
    """Sums of the files that others publish, and what is known of the digits."""
    for part, name in datasets.MNIST.items():
        content = gzip.decompress((MNIST / f"{name}.gz").read_bytes())
        assert hashlib.sha256(content).hexdigest() == datasets.SHA256[part]
    data = load_dataset("mnist", folder=MNIST)
    assert data.X.shape == (60_000, 784)
    assert np.bincount(data.y)[[5, 8]].sum() == 11_272
    assert data.X.mean() == pytest.approx(0.1307, abs=1e-4)  # as PyTorch's pages normalise it


@pytest.mark.parametrize("name", ["breast-cancer", "diabetes", "digits"])
def test_scikit_learns_own(name):
    data = load_dataset(name)
    assert len(data.X) == len(data.y) > 400
    assert len(data.features) == data.X.shape[1]
