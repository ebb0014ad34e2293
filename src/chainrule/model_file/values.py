"""Values of a model file: what JSON cannot say, said in JSON, and arrays under a name.

Text, whole and finite numbers, true, false, None, lists and dicts with text for keys are JSON as
they stand. Everything else is an object with the key "$", which says what it is:

    {"$": "float", "value": "nan"}                      a float that is not finite
    {"$": "tuple", "items": […]}                        a tuple
    {"$": "dict", "items": [[key, value], …]}           a dict with other keys, or with the key "$"
    {"$": "bytes", "hex": "00ff"}                       bytes
    {"$": "array", "dtype": "<f8", "tensor": name}      an array, whose values are a tensor
    {"$": "array", "dtype": "<U3", "values": […]}       an array (n,); dates as whole numbers
    {"$": "column", "tensor": name}                     a list of floats, of whole numbers, or of
                                                        lists of floats, as a tensor
    {"$": "history", "count": n, "columns": {…}}        n dicts with the same keys: a list for each
                                                        key, or null where all are None
    {"$": "random_state", "tensor": name, "position": p, "spare": x}    a Mersenne Twister
    {"$": "activation", "name": "leaky_relu", "settings": {"slope": 0.2}}
                         an entry of a table: activation, loss, optimizer or schedule, by its name

NumPy's numbers come back as Python's of the same value. Nothing here makes an object of a class
that a file names: a name is looked up in the tables, and unknown ones are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from math import isfinite
from numbers import Real
from typing import Any

import numpy as np

from chainrule.activations import ACTIVATIONS, Activation
from chainrule.losses import LOSSES, Loss
from chainrule.names import nearest
from chainrule.optimizers import LBFGS, OPTIMIZERS, Optimizer
from chainrule.schedules import SCHEDULES, Schedule

LARGEST_ARRAY = 2**23  # bytes that arrays of texts may take: their width is only a number here
PER_BYTE = 20  # bytes of lists and dicts that a byte of a record's tensors may become
TENSOR_NAME = re.compile(r"[\w.-]{1,100}", re.ASCII)

#: What a file calls an entry -> what such entries are, the table's name, the table.
TABLES: dict[str, tuple[tuple[type, ...], str, Mapping[str, Any]]] = {
    "activation": ((Activation,), "ACTIVATIONS", ACTIVATIONS),
    "loss": ((Loss,), "LOSSES", LOSSES),
    "optimizer": ((Optimizer, LBFGS), "OPTIMIZERS", OPTIMIZERS),
    "schedule": ((Schedule,), "SCHEDULES", SCHEDULES),
}


class ModelFileError(ValueError):
    """A file that is no whole, sound chainrule model, or a model that no file can hold."""


class Packer:
    """Turns values into JSON's, and collects their arrays as tensors.

    >>> packer = Packer()
    >>> packer.pack({"sizes": (2, 3), "loss": float("inf")}, "it")["sizes"]
    {'$': 'tuple', 'items': [2, 3]}
    """

    def __init__(self) -> None:
        self.tensors: dict[str, Any] = {}

    def pack(self, value: Any, where: str) -> Any:
        """Return `value` as JSON's values; `where` names it in messages and its tensors."""
        if isinstance(value, np.generic):
            value = value.item()
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if isfinite(value) else {"$": "float", "value": repr(value)}
        if type(value) is bytes:
            return {"$": "bytes", "hex": value.hex()}
        if type(value) is list:
            return [self.pack(each, f"{where}.{i}") for i, each in enumerate(value)]
        if type(value) is tuple:
            return {"$": "tuple", "items": self.pack(list(value), where)}
        if type(value) is dict:
            return self._dict(value, where)
        if isinstance(value, np.ndarray):
            return self._array(value, where)
        if isinstance(value, np.random.RandomState):
            return self._random_state(value, where)
        return self._entry(value, where)

    def tensor(self, array: Any, where: str) -> str:
        """Keep an array under a name, `where` if it can be; return the name."""
        free = TENSOR_NAME.fullmatch(where) and where not in self.tensors
        name = where if free else f"tensor.{len(self.tensors)}"
        self.tensors[name] = np.array(array, dtype=array.dtype.newbyteorder("<"), order="C")
        return name

    def column(self, values: Any, where: str) -> Any:
        """Return a list, compactly where it holds numbers of one kind."""
        if type(values) is not list or not values:
            return self.pack(values, where)
        rows = all(type(v) is list and v and _all_floats(v) for v in values)
        if _all_floats(values) or (rows and len(set(map(len, values))) == 1):
            return {"$": "column", "tensor": self.tensor(np.array(values, np.float64), where)}
        if all(type(v) is int and -(2**63) <= v < 2**63 for v in values):
            return {"$": "column", "tensor": self.tensor(np.array(values, np.int64), where)}
        return self.pack(values, where)

    def history(self, records: Any, where: str) -> Any:
        """Return a list of dicts, as columns where all have the same keys."""
        keys = list(records[0]) if type(records) is list and records else []
        alike = all(list(record) == keys for record in records)
        if not alike or not all(type(key) is str and key != "$" for key in keys):
            return self.pack(records, where)
        columns = {key: [record[key] for record in records] for key in keys}
        if all(value is None for values in columns.values() for value in values):
            return self.pack(records, where)  # no column would hold as many values as it claims
        packed = {
            key: None if all(v is None for v in values) else self.column(values, f"{where}.{key}")
            for key, values in columns.items()
        }
        return {"$": "history", "count": len(records), "columns": packed}

    def inline(self, array: Any, where: str) -> Any:
        """Return an array (n,) with its values in the JSON, where people can read them."""
        kind, dtype = array.dtype.kind, array.dtype
        if kind not in VALUE_TYPES or array.ndim != 1 or (kind == "f" and dtype.itemsize > 8):
            raise ModelFileError(
                f"{where} is an array of {dtype} with shape {array.shape}, which a model file"
                " cannot hold; expected numbers, texts or dates"
            )
        if array.nbytes > LARGEST_ARRAY:
            raise ModelFileError(
                f"{where} takes {array.nbytes:,} bytes; a model file holds at most"
                f" {LARGEST_ARRAY:,} of texts: shorten the longest"
            )
        values = array.view(np.int64) if kind in "mM" else array
        return {"$": "array", "dtype": dtype.str, "values": self.pack(values.tolist(), where)}

    def _array(self, array: Any, where: str) -> Any:
        number = array.dtype.kind in "biuf" and array.dtype.itemsize <= 8
        if number and (array.dtype.kind == "f" or array.ndim != 1):
            return {"$": "array", "dtype": array.dtype.str, "tensor": self.tensor(array, where)}
        return self.inline(array, where)

    def _dict(self, value: dict[Any, Any], where: str) -> Any:
        if "$" not in value and all(type(key) is str for key in value):
            return {key: self.pack(each, f"{where}.{key}") for key, each in value.items()}
        items = [
            [self.pack(key, where), self.pack(each, f"{where}.{i}")]
            for i, (key, each) in enumerate(value.items())
        ]
        return {"$": "dict", "items": items}

    def _random_state(self, state: np.random.RandomState, where: str) -> Any:
        inside: Any = state.get_state(legacy=False)
        if inside["bit_generator"] != "MT19937":
            raise ModelFileError(
                f"{where} draws from {inside['bit_generator']}, which a model file cannot hold;"
                " give a RandomState with a seed, or a whole number"
            )
        spare = inside["gauss"] if inside["has_gauss"] else None
        return {
            "$": "random_state",
            "tensor": self.tensor(inside["state"]["key"], where),
            "position": int(inside["state"]["pos"]),
            "spare": self.pack(spare, where),
        }

    def _entry(self, value: Any, where: str) -> Any:
        for kind, (bases, table_name, table) in TABLES.items():
            if not isinstance(value, bases):
                continue
            for name, entry in table.items():
                if _class_of(entry) is type(value):
                    settings = self.pack(_settings(value, where), where)
                    return {"$": kind, "name": name, "settings": settings}
            raise ModelFileError(
                f"{where} is a {type(value).__name__}, which {table_name} does not list; a model"
                f" file stores its name in there: add it, {table_name}['my_name'] = …, here and"
                " where the file is loaded"
            )
        raise ModelFileError(
            f"{where} is a {type(value).__name__}, which a model file cannot hold; expected"
            " numbers, text, lists, dicts, arrays, or an entry of chainrule's tables"
        )


class Unpacker:
    """Turns JSON's values back, and knows which tensors were never asked for."""

    def __init__(self, tensors: Mapping[str, Any]) -> None:
        self.tensors = tensors
        self.unused = set(tensors)
        self.room = LARGEST_ARRAY  # bytes that may yet be made of what is shorter in the file

    def tensor(self, name: Any) -> Any:
        """Return the tensor of that name, once."""
        if not isinstance(name, str) or name not in self.tensors:
            raise ModelFileError(f"it names a tensor {name!r} that is not in the file")
        if name not in self.unused:
            raise ModelFileError(f"it names the tensor {name!r} twice")
        self.unused.remove(name)
        return self.tensors[name]

    def spend(self, size: int, what: str) -> None:
        """Raise ModelFileError where `size` bytes more of memory are too many."""
        self.room -= size
        if self.room < 0:
            raise ModelFileError(f"it declares {what}, which takes {size:,} bytes: too large")

    def unpack(self, value: Any) -> Any:
        """Return what `Packer.pack`, `column`, `history` or `inline` was given."""
        if isinstance(value, list):
            return [self.unpack(each) for each in value]
        if not isinstance(value, dict):
            return value
        if "$" not in value:
            return {key: self.unpack(each) for key, each in value.items()}
        tag, rest = value["$"], {key: each for key, each in value.items() if key != "$"}
        if tag in TABLES:
            return self._entry(tag, **rest)
        if tag not in READERS:
            known = ", ".join([*READERS, *TABLES])
            raise ModelFileError(f"it holds a value of unknown kind {tag!r}; known: {known}")
        return READERS[tag](self, **rest)

    def _float(self, value: str) -> float:
        if value not in ("nan", "inf", "-inf"):
            raise ModelFileError(f"it holds {value!r} where nan, inf or -inf was expected")
        return float(value)

    def _tuple(self, items: list[Any]) -> tuple[Any, ...]:
        return tuple(self.unpack(items))

    def _dict(self, items: list[Any]) -> dict[Any, Any]:
        return {self.unpack(key): self.unpack(value) for key, value in items}

    def _bytes(self, hex: str) -> bytes:
        return bytes.fromhex(hex)

    def _array(self, dtype: str, tensor: Any = None, values: Any = None) -> Any:
        kind = np.dtype(dtype)
        if values is None:
            stored = self.tensor(tensor)
            if kind.newbyteorder("<") != stored.dtype.newbyteorder("<"):
                raise ModelFileError(f"tensor {tensor!r} is {stored.dtype}, not {dtype}")
            return stored.astype(kind)
        values = self.unpack(values)
        allowed = VALUE_TYPES.get(kind.kind, ())
        if not isinstance(values, list) or not all(type(value) in allowed for value in values):
            raise ModelFileError(f"it holds an array of {dtype} with values of other types")
        self.spend(kind.itemsize * len(values), f"an array of {len(values)} × {dtype}")
        if kind.kind == "O":
            objects = np.empty(len(values), dtype=object)
            for place, value in enumerate(values):
                objects[place] = value
            return objects
        if kind.kind in "mM":
            return np.array(values, dtype=np.int64).view(kind)
        return np.array(values, dtype=kind)

    def _column(self, tensor: Any) -> Any:
        column = self.tensor(tensor)
        if column.dtype.name not in ("float64", "int64") or not column.size or column.ndim > 2:
            raise ModelFileError(
                f"its tensor {tensor!r} of {column.dtype} and shape {column.shape} is no column"
            )
        self.room += PER_BYTE * column.nbytes
        self.spend(40 * column.size + 72 * len(column), f"a column of shape {column.shape}")
        return column.tolist()

    def _history(self, count: int, columns: dict[str, Any]) -> list[dict[str, Any]]:
        lists = {
            key: None if packed is None else self.unpack(packed) for key, packed in columns.items()
        }
        given = [values for values in lists.values() if values is not None]
        if not given or any(type(v) is not list or len(v) != count for v in given):
            raise ModelFileError(f"its history claims {count!r} records; its columns differ")
        self.spend((150 + 50 * len(lists)) * count, f"{count} records of {len(lists)} values")
        filled = {key: [None] * count if v is None else v for key, v in lists.items()}
        return [{key: values[i] for key, values in filled.items()} for i in range(count)]

    def _random_state(self, tensor: Any, position: int, spare: Any) -> np.random.RandomState:
        key, state = self.tensor(tensor), np.random.RandomState(0)
        if key.dtype != np.uint32 or key.shape != (624,) or not 0 <= position <= 624:
            raise ModelFileError("its random state is none of a Mersenne Twister")
        spare = self.unpack(spare)
        state.set_state(("MT19937", key, position, int(spare is not None), spare or 0.0))
        return state

    def _entry(self, kind: str, name: Any, settings: Any) -> Any:
        _, table_name, table = TABLES[kind]
        if not isinstance(name, str) or name not in table:
            hint = nearest(name, table) if isinstance(name, str) else ""
            raise ModelFileError(
                f"{kind} {name!r} is unknown here{hint}; if it is your own, add it to {table_name}"
                f" before loading. Known: {', '.join(sorted(table))}"
            )
        cls, settings = _class_of(table[name]), self.unpack(settings)
        _check_settings(cls, settings, f"{kind} {name!r}")
        return cls(**settings)


READERS: dict[str, Callable[..., Any]] = {
    "float": Unpacker._float,
    "tuple": Unpacker._tuple,
    "dict": Unpacker._dict,
    "bytes": Unpacker._bytes,
    "array": Unpacker._array,
    "column": Unpacker._column,
    "history": Unpacker._history,
    "random_state": Unpacker._random_state,
}

#: Kind of a NumPy dtype -> the types that its values have in a file.
VALUE_TYPES: dict[str, tuple[type, ...]] = {
    "b": (bool,), "i": (int,), "u": (int,), "f": (float,), "U": (str,), "S": (bytes,),
    "M": (int,), "m": (int,), "O": (str, int, float, bool, bytes, type(None)),
}  # fmt: skip


def readable(value: Any) -> Any:
    """Return a packed value as people read it, without its tensors: always strict JSON.

    >>> readable({"$": "activation", "name": "leaky_relu", "settings": {"slope": 0.2}})
    'leaky_relu(slope=0.2)'
    """
    if isinstance(value, list):
        return [readable(each) for each in value]
    if not isinstance(value, dict):
        return value
    tag = value.get("$")
    if tag in TABLES:
        settings = ", ".join(f"{k}={readable(v)}" for k, v in value["settings"].items())
        return f"{value['name']}({settings})" if settings else value["name"]
    for key in ("value", "items", "hex", "values"):
        if tag is not None and key in value:
            return readable(value[key])
    if tag is not None:
        return f"{tag} {value['tensor']}" if "tensor" in value else str(tag)
    return {key: readable(each) for key, each in value.items()}


def _all_floats(values: list[Any]) -> bool:
    return all(isinstance(value, float) for value in values)


def _class_of(entry: Any) -> Any:
    return entry if isinstance(entry, type) else type(entry)


def _settings(value: Any, where: str) -> dict[str, Any]:
    """Return what makes an equal object: the fields of a dataclass, nothing for a plain class."""
    if is_dataclass(value):
        return {each.name: getattr(value, each.name) for each in fields(value) if each.init}
    if vars(value):
        raise ModelFileError(
            f"{where} is a {type(value).__name__}, whose settings a model file cannot find; make"
            " the class a frozen dataclass"
        )
    return {}


def _check_settings(cls: Any, settings: Any, what: str) -> None:
    """Raise ModelFileError unless the settings are the class's, of the types of its defaults."""
    known = {each.name: each for each in fields(cls) if each.init} if is_dataclass(cls) else {}
    if not isinstance(settings, dict) or not settings.keys() <= known.keys():
        raise ModelFileError(
            f"{what} has settings {settings!r}; expected {', '.join(known) or 'none'}"
        )
    for name, value in settings.items():
        default = known[name].default
        if default is MISSING or default is None:
            continue
        number = isinstance(default, (int, float)) and not isinstance(default, bool)
        fits = isinstance(value, Real) and not isinstance(value, bool)
        if not (fits if number else type(value) is type(default)):
            raise ModelFileError(f"{what} has {name}={value!r}; expected one like {default!r}")
