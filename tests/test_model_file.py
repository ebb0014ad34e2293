"""Model files: what comes back is what was saved, and nothing else ever comes back."""

import errno
import hashlib
import json
import os
import pickle
import random
import struct
import warnings
import zipfile
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file
from sklearn.pipeline import Pipeline, make_pipeline

from chainrule import (
    ACTIVATIONS,
    LBFGS,
    SGD,
    Adam,
    Cosine,
    Huber,
    LeakyRelu,
    MLPClassifier,
    MLPRegressor,
    Network,
    RMSprop,
    RProp,
    TableEncoder,
)
from chainrule.activations import Activation
from chainrule.model_file import ModelFileError, load_model, read_header, save_model
from chainrule.model_file import header as model_header
from chainrule.model_file import values as model_values
from strategies import ELEMENTWISE, NAMES, seeds

FEW = settings(max_examples=25)


def fitted(model, X, y, steps=1):
    """Fit without the warning that two epochs are few."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(steps):
            model = model.fit(X, y) if steps == 1 else model.partial_fit(X, y)
    return model


def same(a, b):
    """Tell whether two values are equal: types, dtypes, bits, NaN and all."""
    if isinstance(a, np.random.RandomState):
        return same(a.get_state(), b.get_state())
    if isinstance(a, np.ndarray):
        alike = type(a) is type(b) and a.dtype == b.dtype and a.shape == b.shape
        return alike and (
            a.tobytes() == b.tobytes() or (a.dtype == object and a.tolist() == b.tolist())
        )
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, MLPClassifier | MLPRegressor | TableEncoder):
        return vars(a).keys() == vars(b).keys() and all(
            same(value, getattr(b, name)) for name, value in vars(a).items()
        )
    if isinstance(a, Network):
        return same([a.sizes, a.activations, a.theta], [b.sizes, b.activations, b.theta])
    if isinstance(a, Pipeline):
        return same(a.steps, b.steps)
    return repr(a) == repr(b)


def learnt(model):
    """What two equal trainings have in common: all but the time they took."""
    return {name: value for name, value in sorted(vars(model).items()) if name != "history_"}


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def there_and_back(folder):
    """Save a model, load it, and check all that must hold of any model."""

    def check(model, **kwargs):
        path = folder / "there.chainrule"
        save_model(model, path, force=True, **kwargs)
        first = path.read_bytes()
        again = load_model(path)
        save_model(again, path, force=True, **kwargs)
        assert path.read_bytes() == first
        assert same(model, again)
        json.dumps(read_header(path) | {"about": None}, allow_nan=False)
        return again

    return check


# What is saved comes back --------------------------------------------------------------------


@FEW
@given(
    st.lists(st.integers(1, 5), min_size=2, max_size=5),
    st.data(),
    seeds,
    st.sampled_from(["float64", "float32"]),
)
def test_networks_come_back(there_and_back, sizes, data, seed, dtype):
    entry = st.sampled_from(NAMES) | st.builds(LeakyRelu, st.floats(0, 1))
    activations = data.draw(st.lists(entry, min_size=len(sizes) - 1, max_size=len(sizes) - 1))
    net = Network(sizes, activations, seed=seed, dtype=dtype)
    again = there_and_back(net)
    X = np.random.default_rng(seed).normal(size=(3, sizes[0]))
    assert same(net.predict(X), again.predict(X))


def labels(text):
    """Strategies for arrays of two to four classes, of every kind that can be fitted."""
    numbers = st.sampled_from(["int64", "uint8", ">i4", "int16", "float64", "float16"])
    few = st.lists(st.integers(0, 100), min_size=2, max_size=4, unique=True)
    words = st.lists(text, min_size=2, max_size=4, unique=True)
    dates = few.map(lambda days: np.array(days, "M8[D]"))
    return st.one_of(
        st.builds(np.array, few, numbers),
        st.just(np.array([True, False])),
        words.map(np.array),
        words.map(lambda values: np.array(values, dtype=object)),
        dates,
    )


@FEW
@given(
    labels(st.text(min_size=1, max_size=8).filter(lambda word: word.strip("\0") == word)),
    st.lists(st.integers(1, 5), max_size=2),
    st.sampled_from(ELEMENTWISE),
    seeds,
    st.booleans(),
    st.sampled_from([np.float64, np.float32]),
)
def test_classifiers_come_back(there_and_back, classes, sizes, activation, seed, several, dtype):
    y = np.tile(classes, 4)
    X = np.random.default_rng(seed).normal(size=(len(y), 3)).astype(dtype)
    model = MLPClassifier(sizes, activation, max_iter=2, random_state=seed)
    again = there_and_back(fitted(model, X, y, steps=1 + several))
    assert same(model.predict_proba(X), again.predict_proba(X))
    assert same(model.predict(X), again.predict(X))
    if several:
        assert same(learnt(model.partial_fit(X, y)), learnt(again.partial_fit(X, y)))


@FEW
@given(
    st.sampled_from(["adam", "sgd", "lbfgs", SGD(0.4, momentum=0.6), RMSprop(), RProp(), LBFGS(9)]),
    st.sampled_from(["squared_error", "poisson", Huber(), "absolute_error"]),
    st.sampled_from(["constant", "adaptive", "invscaling", Cosine(0.1)]),
    st.integers(1, 3),
    seeds,
    st.booleans(),
)
def test_regressors_come_back(there_and_back, solver, loss, rate, outputs, seed, early):
    if isinstance(rate, Cosine) and isinstance(solver, LBFGS | str) and "adam" != solver != "sgd":
        rate = "constant"  # L-BFGS takes no schedule of ours
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(20, 2)), rng.uniform(0, 2, (20, outputs))
    model = MLPRegressor(
        loss, (4,), solver=solver, learning_rate=rate, max_iter=3, early_stopping=early,
        random_state=seed, scale_y="standard" if loss in ("squared_error",) else "none",
        n_iter_no_change=np.inf,
    )  # fmt: skip
    again = there_and_back(fitted(model, X, y if outputs > 1 else y[:, 0]))
    assert same(model.predict(X), again.predict(X))


def test_an_average_under_way_comes_back(there_and_back):
    """The network has the averaged parameters; those that move are the state's."""
    X, y = np.random.default_rng(0).normal(size=(2, 30, 1))
    model = fitted(MLPRegressor(hidden_layer_sizes=(3,)), X, y[:, 0], steps=2)
    model._states[0]["raw"] = model._states[0]["theta"] + 0.5
    again = there_and_back(model)
    assert same(again._states[0]["raw"], model._states[0]["raw"])
    assert same(again.coefs_, model.coefs_)


@pytest.mark.parametrize("seed", [7, np.random.RandomState(7), None])
def test_training_goes_on_as_if_never_saved(there_and_back, seed):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 2)), rng.normal(size=30)
    if isinstance(seed, np.random.RandomState):
        seed.normal()  # so that it keeps a spare number
    model = fitted(MLPRegressor(hidden_layer_sizes=(3,), max_iter=2, random_state=seed), X, y)
    model.set_params(warm_start=True)
    again = there_and_back(model)
    if seed is not None:
        fitted(model, X, y)
        fitted(again, X, y)
        assert same(model.coefs_, again.coefs_)
    for each in (model, again):
        each.set_params(warm_start=False, random_state=7)
        each.partial_fit(X, y)
    for each in (model, there_and_back(model)):
        each.partial_fit(X, y)
    assert all(W.base is not None for W in again.coefs_)  # views into one vector, as when fitted


def test_multilabel_columns_and_odd_parameters_come_back(there_and_back):
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame({"größe": [0.0, 1, 2, 3], "b": [1.0, 0, 1, 0]})
    Y = np.array([[0, 1, 1], [1, 0, 1], [0, 0, 1], [1, 1, 0]])
    model = MLPClassifier(
        np.array([3, 2]), [LeakyRelu(0.2), "tanh"], solver=Adam(0.1), alpha=np.float64(0.5)
    )
    model.fit(X, Y)
    model.history_[0]["of mine"] = float("nan")
    model.set_params(alpha=0.5)
    there_and_back(model)


def test_tables_come_back(there_and_back, folder):
    pl = pytest.importorskip("polars")
    table = pl.DataFrame(
        {
            "size": [1.0, 2.5, None, 4.0] * 5,
            "town": [
                "Bern",
                "Zürich",
                "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
                None,
            ]
            * 5,
            "flag": [True, False, None, True] * 5,
            "when": pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 1, 20), eager=True),
            "constant": [1] * 20,
        }
    )
    y = np.arange(20) % 3
    encoder = TableEncoder(max_levels=np.int64(2), dtype="float32").fit(table)
    encoder.set_params(max_levels=2)
    again = there_and_back(encoder)
    assert same(encoder.transform(table), again.transform(table))
    pipe = make_pipeline(TableEncoder(), MLPClassifier((3,), max_iter=2, random_state=0))
    pipe = fitted(Pipeline([("table", pipe[0]), ("mlp net", pipe[1])]), table, y)
    again = there_and_back(pipe, about={"target": "x", "odd": [float("nan"), (1, b"\0")]})
    assert same(pipe.predict_proba(table), again.predict_proba(table))
    header = read_header(folder / "there.chainrule")
    assert header["steps"] == ["table", "mlp net"]
    assert repr(header["about"]) == "{'target': 'x', 'odd': [nan, (1, b'\\x00')]}"
    assert [column["kind"] for column in header["columns"]][-1] == "dropped"
    encoder.set_output(transform="polars")
    assert there_and_back(encoder).transform(table).columns == encoder.transform(table).columns


def test_header_says_what_is_inside_and_others_read_the_weights(folder):
    path = folder / "inspect.chainrule"
    model = fitted(MLPClassifier((5,), max_iter=3, random_state=0), np.eye(4), list("abca"))
    save_model(model, path, force=True)
    header = read_header(path)
    assert header["sizes"] == [4, 5, 3]
    assert header["n_parameters"] == 4 * 5 + 5 + 5 * 3 + 3
    assert header["classes"] == ["a", "b", "c"]
    assert header["history"]["epochs"] == 3
    assert header["tensors"]["history.loss"] == {"dtype": "float64", "shape": [3]}
    assert header["bytes"] == path.stat().st_size
    tensors = load_file(path)
    assert same(tensors["layer.0.weights"], model.coefs_[0])
    assert tensors["history.loss"].tolist() == model.loss_curve_


def test_transposed_weights_are_stored_right(there_and_back):
    model = fitted(MLPClassifier((5,), max_iter=1, random_state=0), np.eye(4), [0, 1, 0, 1])
    model.turned_ = np.arange(6.0).reshape(2, 3).T
    assert same(there_and_back(model).turned_.tolist(), model.turned_.tolist())
    del model.turned_
    model.coefs_ = [np.asfortranarray(W) for W in model.coefs_]
    assert (there_and_back(model).coefs_[0] == model.coefs_[0]).all()


def test_callbacks_stay_behind(folder):
    model = fitted(MLPClassifier((2,), max_iter=1, callbacks=[]), np.eye(4), [0, 1, 0, 1])
    save_model(model, folder / "callbacks.chainrule", force=True)
    assert load_model(folder / "callbacks.chainrule").callbacks is None


@dataclass(frozen=True)
class Cube(Activation):
    scale: float = 1.0

    def value(self, z):
        return self.scale * z**3

    def derivative(self, z, a):
        return 3 * self.scale * z * z


def test_an_activation_of_ones_own_needs_the_table(folder, there_and_back, monkeypatch):
    net = Network([2, 1], [Cube(0.5)])
    with pytest.raises(ModelFileError, match=r"Cube.*ACTIVATIONS\['my_name'\]"):
        save_model(net, folder / "cube.chainrule", force=True)
    with monkeypatch.context() as patch:
        patch.setitem(ACTIVATIONS, "cube", Cube())
        there_and_back(net)
    with pytest.raises(ModelFileError, match=r"activation 'cube' is unknown here.*before loading"):
        load_model(folder / "there.chainrule")


def test_what_cannot_be_saved_is_said(folder):
    def say(model, **kwargs):
        with pytest.raises(ModelFileError) as caught:
            save_model(model, folder / "never.chainrule", **kwargs)
        assert not (folder / "never.chainrule").exists()
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "MLPClassifier is not fitted" in say(MLPClassifier())
    assert "TableEncoder is not fitted" in say(make_pipeline(TableEncoder(), MLPClassifier()))
    assert "Pipeline of MLPClassifier" in say(make_pipeline(MLPClassifier()))
    assert "a str cannot be saved" in say("model")
    net = Network([1, 1])
    assert "about.x holds" in say(net, about={"x": object()}).replace(" is a object", " holds")
    assert "expected a dict" in say(net, about=[1])
    assert "arrays" in say(net, about={"x": np.eye(2)})
    endless = {}
    endless["x"] = endless
    assert "deep" in say(net, about=endless)
    net.W[0][:] = np.nan
    assert "layer 0's weights hold 1 values that are not finite" in say(net)
    model = fitted(MLPClassifier((2,), max_iter=1), np.eye(4), [0, 1, 0, 1])
    assert "alpha=-1" in say(model.set_params(alpha=-1))
    model.set_params(alpha=0, random_state=np.random.RandomState(np.random.PCG64(1)))
    assert "PCG64" in say(model)


# What is damaged does not --------------------------------------------------------------------


@pytest.fixture(scope="session")
def network_file(folder):
    path = folder / "network.chainrule"
    save_model(Network([2, 2, 1], seed=1), path, about={"é\ud800": [None, 1.5]})
    return path.read_bytes()


@pytest.fixture(scope="session")
def pipeline_file(folder):
    path = folder / "pipeline.chainrule"
    table = [["a", 1.0, True], ["b", 2.0, False], [None, 4.0, True], ["b", 8.0, False]]
    pipe = make_pipeline(TableEncoder(), MLPClassifier((3,), LeakyRelu(0.2), random_state=0))
    pipe[1].set_params(max_iter=3)
    fitted(pipe, np.array(table, dtype=object), [0, 1, 2, 1])
    pipe[1].partial_fit(pipe[0].transform(np.array(table, dtype=object)), [0, 1, 2, 1])
    save_model(pipe, path)
    return path.read_bytes()


@pytest.fixture(scope="session")
def refusal(folder):
    """Check that reading these bytes fails in one line, and return it."""

    def check(content, *, header_too=True):
        path = folder / "damaged.chainrule"
        path.write_bytes(content)
        said = []
        for read in (load_model, read_header) if header_too else (load_model,):
            with pytest.raises(ModelFileError) as caught:
                read(path)
            said.append(str(caught.value))
        assert str(path) in said[0]
        assert len(said[0]) < 700
        assert "\n" not in said[0]
        return said[0].removeprefix(f"{path}: ")

    return check


def length_of(content):
    return struct.unpack("<Q", content[:8])[0]


def forge(content, change):
    """Change description, tensors or data as a forger would, who knows the format and the sum."""
    n = length_of(content)
    tensors, data = json.loads(content[8 : 8 + n]), bytearray(content[8 + n :])
    description = json.loads(tensors.pop("__metadata__")["chainrule"])
    description["sha256"] = "0" * 64
    change(description, tensors, data)
    return sealed(json.dumps(description, separators=(",", ":")), tensors, data)


def sealed(description, tensors, data=b"", metadata=None):
    metadata = {"chainrule": description} | (metadata or {})
    text = json.dumps({"__metadata__": metadata} | tensors, separators=(",", ":")).encode()
    content = struct.pack("<Q", len(text)) + text + bytes(data)
    return content.replace(b"0" * 64, hashlib.sha256(content).hexdigest().encode(), 1)


def test_a_forged_file_without_changes_is_read(network_file, pipeline_file, folder):
    for content in (network_file, pipeline_file):
        path = folder / "forged.chainrule"
        path.write_bytes(forge(content, lambda *parts: None))
        load_model(path)
        read_header(path)


def test_truncated_at_every_byte(network_file, pipeline_file, refusal):
    for end in range(len(network_file)):
        said = refusal(network_file[:end])
        assert "cut short" in said or "empty" in said or "no chainrule model" in said
    for end in range(0, len(pipeline_file), 31):
        refusal(pipeline_file[:end])
    refusal(network_file + b"\0")


def test_a_bit_flipped_at_every_byte(network_file, pipeline_file, refusal):
    rng = random.Random(0)
    everywhere = range(8 + length_of(network_file))
    places = [(network_file, place, bit) for place in everywhere for bit in (rng.randrange(8),)]
    places += [(network_file, p, 3) for p in range(everywhere.stop, len(network_file))]
    some = rng.sample(range(len(pipeline_file)), 300)
    places += [(pipeline_file, place, rng.randrange(8)) for place in some]
    for content, place, bit in places:
        flipped = bytearray(content)
        flipped[place] ^= 1 << bit
        refusal(bytes(flipped))


def test_other_formats_are_named(folder, refusal):
    assert "empty" in refusal(b"")
    assert "pickle" in refusal(pickle.dumps(list(range(100))))
    assert "text, such as a CSV" in refusal(b"a,b,c\n1,2,3\n4,5,6\n")
    assert "ONNX" in refusal(b"\x08\x08\x12\x09chainrule" + b"\0" * 50)
    with zipfile.ZipFile(folder / "some.zip", "w") as archive:
        archive.writestr("a", "b" * 100)
    assert "zip" in refusal((folder / "some.zip").read_bytes())
    assert "other programs" in refusal(sealed("{}", {}))
    assert "other programs" in refusal(struct.pack("<Q", 2) + b"{}")
    assert "at most 8,388,608" in refusal(struct.pack("<Q", 2**63) + b"{}" + b"\0" * 64)
    with pytest.raises(ModelFileError, match="folder; expected a model file"):
        load_model(folder)
    with pytest.raises(ModelFileError, match="nowhere: it is not there"):
        load_model(folder / "nowhere")


def test_a_newer_version_asks_to_upgrade(network_file, refusal):
    said = refusal(forge(network_file, lambda d, t, data: d.update(format=2)))
    assert "made by a newer chainrule (format 2); this one reads up to 1: upgrade" in said
    assert "never was" in refusal(forge(network_file, lambda d, t, data: d.update(format=0)))


def test_what_a_newer_version_added_asks_to_upgrade(pipeline_file, refusal):
    def change(d, tensors, data, version="9.1"):
        d["chainrule"] = version
        d["estimator"]["parameters"]["forget"] = 0.1

    said = refusal(forge(pipeline_file, change), header_too=False)
    assert "the unknown parameter 'forget' of MLP" in said
    assert "made by chainrule 9.1, this is 0.1.0: upgrade with pip" in said


def test_a_wrong_sum_is_noticed(network_file, refusal):
    assert "SHA-256 is wrong" in refusal(network_file[:-1] + bytes([network_file[-1] ^ 1]))
    here = network_file.index(b"sha256") + 20
    assert "no SHA-256" in refusal(network_file[:here] + b"A" + network_file[here + 1 :])


def test_shapes_are_compared_with_the_file(network_file, refusal):
    for shape in ([2**20, 2**22], [0, 2**60], [2**70, 1], [-2, -2], [2.0, 2], [2] * 99, [True, 4]):

        def change(d, tensors, data, shape=shape):
            tensors["layer.0.weights"]["shape"] = shape

        said = refusal(forge(network_file, change))
        assert "layer.0.weights" in said
        assert len(said) < 300

    def empty(d, tensors, data):
        span = [len(data), len(data)]
        tensors["more"] = {"dtype": "U8", "shape": [0, 2**60], "data_offsets": span}

    assert "'more' of shape [0, 1152921504606846976]" in refusal(forge(network_file, empty))

    def sizes(d, tensors, data):
        d["network"]["sizes"] = [2**20, 2**22, 1]

    assert "ask for" in refusal(forge(network_file, sizes), header_too=False)

    def overlap(d, tensors, data):
        tensors["layer.1.biases"]["data_offsets"] = [0, 8]

    assert "overlap" in refusal(forge(network_file, overlap))
    assert "too long" in refusal(forge(network_file, lambda d, t, data: data.extend(b"12345678")))


def test_caps(network_file, refusal, monkeypatch, folder):
    with monkeypatch.context() as patch:
        patch.setattr(model_header, "MOST_TENSORS", 3)
        assert "4 tensors; at most 3" in refusal(network_file)
    with monkeypatch.context() as patch:
        patch.setattr(model_header, "LARGEST_HEADER", 300)
        assert "at most 300 are read" in refusal(network_file)
        with pytest.raises(ModelFileError, match="not written: its header claims"):
            save_model(Network([2, 2, 1]), folder / "large.chainrule")
    with monkeypatch.context() as patch:
        patch.setattr(model_values, "LARGEST_ARRAY", 30)
        model = fitted(MLPClassifier((2,), max_iter=1), np.eye(4), ["a" * 10, "b"] * 2)
        with pytest.raises(ModelFileError, match="classes takes 80 bytes"):
            save_model(model, folder / "large.chainrule")


def test_weights_that_are_not_finite(network_file, pipeline_file, refusal):
    nan = struct.pack("<d", np.nan)

    def change(d, tensors, data):
        begin = tensors["layer.0.biases"]["data_offsets"][0]
        data[begin : begin + 8] = nan

    for content in (network_file, pipeline_file):
        said = refusal(forge(content, change), header_too=False)
        assert "layer 0's biases hold 1 values that are not finite" in said


def test_keys_that_stand_twice(network_file, refusal):
    n = length_of(network_file)
    text = network_file[8 : 8 + n].decode().rstrip()
    for old, new in (
        ('"layer.0.biases":', '"layer.1.biases":'),
        ('"dtype":"F64","shape"', '"shape":[2],"shape"'),
    ):
        assert old in text
        twice = text.replace(old, new, 1).encode()
        said = refusal(struct.pack("<Q", len(twice)) + twice + network_file[8 + n :])
        assert "twice" in said
    description = json.loads(text)["__metadata__"]["chainrule"]
    doubled = description.replace('"kind":', '"kind":"Network","kind":')
    tensors = {k: v for k, v in json.loads(text).items() if k != "__metadata__"}
    assert "'kind' twice" in refusal(sealed(doubled, tensors, network_file[8 + n :]))


def renamed(path, name):
    """Return a change that renames the last key of `path` in a description."""

    def change(description, tensors, data):
        for key in path[:-1]:
            description = description[key]
        description[name] = description.pop(path[-1])

    return change


def put(path, value):
    """Return a change that puts a value in a description."""

    def change(description, tensors, data):
        for key in path[:-1]:
            description = description[key]
        description[path[-1]] = value

    return change


WIDE = {"$": "array", "dtype": "<U99999999", "values": ["a"]}
FORGED = [
    (renamed(["network", "sizes"], "size"), "no model"),
    (renamed(["estimator", "parameters", "alpha"], "beta"), "lacks parameter 'alpha'"),
    (renamed(["estimator", "fitted", "classes_"], "classes"), "without classes_"),
    (renamed(["estimator", "fitted", "loss_"], "predict"), "'predict'"),
    (renamed(["estimator", "fitted", "loss_"], "__class__"), "'__class__'"),
    (renamed(["estimator", "fitted", "loss_"], "alpha"), "'alpha'"),
    (renamed(["estimator", "fitted", "loss_"], "_skl_callbacks"), "'_skl_callbacks'"),
    (renamed(["encoder", "params", "max_levels"], "levels"), "makes up the parameter"),
    (renamed(["encoder", "columns"], "column"), "encoder"),
    (renamed(["encoder"], "decoder"), "decoder"),
    (renamed(["about"], "above"), "about"),
    (put(["kind"], "MLPClassifier"), "MLPClassifier by"),
    (put(["kind"], "os.system"), "of unknown kind"),
    (put(["kind"], []), ""),
    (put(["estimator", "class"], "Popen"), "Popen"),
    (put(["estimator", "parameters", "solver"], "adma"), "did you mean 'adam'"),
    (put(["estimator", "parameters", "n_threads"], "many"), "n_threads"),
    (put(["estimator", "parameters", "alpha"], {"$": "float", "value": "1"}), "nan, inf or -inf"),
    (put(["estimator", "parameters", "alpha"], {"$": "eval", "value": "1"}), "unknown kind 'eval'"),
    (put(["estimator", "parameters", "alpha"], {"$": []}), ""),
    (put(["estimator", "parameters", "alpha"], {"$": "tuple"}), ""),
    (put(["estimator", "parameters", "activation", "name"], "leaky"), "mean 'leaky_relu'"),
    (put(["estimator", "parameters", "activation", "settings"], {"slope": "x"}), "slope='x'"),
    (put(["estimator", "parameters", "activation", "settings"], {"slip": 1}), "slip"),
    (put(["estimator", "parameters", "activation", "settings"], 3), "settings 3"),
    (put(["estimator", "fitted", "classes_", "values"], [0, 1]), "2 classes"),
    (put(["estimator", "fitted", "classes_", "values"], [0, 1, "2"]), "other types"),
    (put(["estimator", "fitted", "classes_", "dtype"], "<U999999999"), "not understood"),
    (put(["estimator", "fitted", "classes_"], WIDE), "too large"),
    (put(["estimator", "fitted", "classes_", "dtype"], "V8"), "other types"),
    (put(["estimator", "fitted", "history_", "count"], 10**15), "claims 10000000"),
    (put(["estimator", "fitted", "history_", "columns"], {"loss": None}), "its columns differ"),
    (put(["estimator", "fitted", "loss_curve_"], 5), "no list"),
    (put(["estimator", "fitted", "_states", 0, "slots"], [1.0]), "optimizer slots"),
    (put(["estimator", "fitted", "_states", 0, "t"], -1), "t=-1"),
    (put(["estimator", "fitted", "_states", 0, "raw"], [1.0]), "optimizer slots or parameters"),
    (put(["estimator", "fitted", "_states", 0, "slots"], 3), "optimizer slots"),
    (put(["estimator", "fitted", "_states"], []), "0 states"),
    (put(["estimator", "fitted", "_states"], [[]]), "whose entries are not"),
    (put(["estimator", "fitted", "_seeds"], [-1]), "_seeds=[-1]"),
    (put(["estimator", "fitted", "_seeds"], [[1] * 9999]), "_seeds=[[1, 1"),
    (renamed(["estimator", "fitted", "_seeds"], "_u"), "lacks one of"),
    (put(["estimator", "fitted", "classes_", "values"], [0, 0, 1]), "different ones"),
    (put(["estimator", "fitted", "loss_"], {"$": "column", "tensor": "no"}), "tensor 'no'"),
    (put(["estimator", "fitted", "validation_scores_"], None), ""),
    (put(["network", "sizes"], [10**9, 10**9]), "activations"),
    (put(["network", "sizes"], []), "sizes"),
    (put(["network", "dtype"], "object"), "dtype"),
    (put(["network", "activations"], ["relu", "softmax"]), "activations"),
    (put(["pipeline", "steps"], ["a", "a"]), "steps"),
    (put(["pipeline", "steps"], ["a", ["b"]]), ""),
    (put(["encoder", "columns"], []), ""),
    (put(["encoder", "columns", 0, "kind"], "chr"), "kind='chr'"),
    (put(["encoder", "columns", 1, "scale"], "x"), ""),
    (put(["encoder", "columns", 0, "levels"], ["a"]), "the network takes"),
    (put(["encoder", "columns", 0, "levels"], [[[]], [{}]]), "levels that are no list of texts"),
    (put(["encoder", "columns", 0, "levels"], ["a", None]), "levels that are no list of texts"),
    (put(["encoder", "columns", 0, "rare"], {"a": 1}), "rare that are no list of texts"),
    (put(["encoder", "params", "max_levels"], -1), "max_levels"),
    (put(["encoder", "notes"], 3), ""),
]  # fmt: skip


@pytest.mark.parametrize(("change", "words"), FORGED)
def test_forged_descriptions_are_refused(pipeline_file, refusal, change, words):
    unchanged = forge(pipeline_file, lambda *parts: None)
    forged = forge(pipeline_file, change)
    if forged != unchanged:
        assert words in refusal(forged, header_too=False)


def test_tensors_and_metadata_that_belong_to_nothing(network_file, refusal):
    def rename(d, tensors, data):
        tensors["layer.0.bias"] = tensors.pop("layer.0.biases")

    def extra(d, tensors, data):
        tensors["more"] = {"dtype": "U8", "shape": [1], "data_offsets": [len(data), len(data) + 1]}
        data += b"\0"

    def kind(d, tensors, data):
        tensors["layer.0.weights"]["dtype"] = "I64"

    assert "'layer.0.biases' that is not in the file" in refusal(
        forge(network_file, rename), header_too=False
    )
    assert "'more' belongs to no part" in refusal(forge(network_file, extra), header_too=False)
    assert "int64" in refusal(forge(network_file, kind), header_too=False)
    n = length_of(network_file)
    tensors = json.loads(network_file[8 : 8 + n])
    description = tensors.pop("__metadata__")["chainrule"]
    more = sealed(description, tensors, network_file[8 + n :], {"more": "x"})
    assert "metadata holds" in refusal(more)


@pytest.mark.parametrize(
    "value",
    ["[" * 100_000 + "]" * 100_000, "1e999", "NaN", "-Infinity", "9" * 5000, '"\\ud800"', "{"],
)
def test_json_that_is_none(network_file, refusal, value):
    def change(d, tensors, data):
        d["about"] = "HERE"

    forged = forge(network_file, change)
    n = length_of(forged)
    tensors = json.loads(forged[8 : 8 + n])
    description = json.loads(tensors.pop("__metadata__")["chainrule"])
    description["sha256"] = "0" * 64
    text = json.dumps(description, separators=(",", ":")).replace('"HERE"', value)
    refusal(sealed(text, tensors, forged[8 + n :]), header_too=value != '"\\ud800"')


@settings(max_examples=100)
@given(st.binary(max_size=300), st.integers(0, 2**64 - 1))
def test_any_bytes_are_refused(refusal, content, length):
    refusal(content)
    refusal(struct.pack("<Q", length % 400) + b"{" + content)


# Writing --------------------------------------------------------------------------------------


@pytest.mark.parametrize("broken", ["replace", "fsync", "open"])
def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch, broken):
    path = tmp_path / "net.chainrule"
    save_model(Network([1, 2, 1], seed=1), path)
    before = path.read_bytes()

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, broken, full)
    with pytest.raises(OSError, match=r"No space left.*net\.chainrule") as caught:
        save_model(Network([1, 2, 1], seed=2), path, force=True)
    monkeypatch.undo()
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["net.chainrule"]


def test_nothing_is_overwritten_unasked(tmp_path):
    path = tmp_path / "net.chainrule"
    save_model(Network([1, 1]), path)
    with pytest.raises(FileExistsError, match=r"net\.chainrule exists already"):
        save_model(Network([1, 1]), path)
    with pytest.raises(FileNotFoundError, match="no folder"):
        save_model(Network([1, 1]), tmp_path / "nowhere" / "net.chainrule")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        save_model(Network([1, 1]), tmp_path, force=True)
    (tmp_path / "plain").touch()
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode
