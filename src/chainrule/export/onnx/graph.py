"""Graph: nodes, constants, inputs and outputs of an ONNX graph, collected one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

ROWS = "n"  #: the name of the axis whose length is any number of rows
ML = "ai.onnx.ml"  #: the second set of operators: those of tables

#: Operators of that second set, and the version that is asked for: what ONNX Runtime has long had.
SUMS_OF_AXES_GIVEN = 18  #: from this version on all of ReduceMax and the like take axes as an input
OF_TABLES = ("LabelEncoder",)
ML_VERSION = 2


class Graph:
    """An ONNX graph under construction; a value is known by its name."""

    def __init__(self, opset: int) -> None:
        self.opset = opset
        self.nodes: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self.constants: dict[tuple[Any, ...], Any] = {}
        self.taken: set[str] = set()

    def name(self, wanted: str) -> str:
        """Return the name, or one like it that no value has yet."""
        name, k = wanted, 2
        while name in self.taken:
            name, k = f"{wanted}_{k}", k + 1
        self.taken.add(name)
        return name

    def input(self, name: str, dtype: Any, columns: int, holds: str = "") -> str:
        """Add an input (n, columns), with a word on what it holds, before any node."""
        self.inputs.append(_described(self.name(name), dtype, (ROWS, columns), holds))
        return name

    def output(self, name: str, value: str, dtype: Any, *columns: int) -> None:
        """Make a value an output (n, *columns)."""
        from onnx import helper

        name = self.name(name)
        self.nodes.append(helper.make_node("Identity", [value], [name]))
        self.outputs.append(_described(name, dtype, (ROWS, *columns)))

    def constant(self, values: Any, dtype: Any) -> str:
        """Add an array, or find the same one."""
        from onnx import numpy_helper

        array: NDArray[Any] = np.array(values, dtype, order="C")
        words = array.dtype.kind in "OU"
        content = tuple(array.ravel().tolist()) if words else array.tobytes()
        key = (array.dtype.str if not words else "text", array.shape, content)
        if key not in self.constants:
            name = self.name("constant")
            held = array.astype(object) if words else array
            self.constants[key] = numpy_helper.from_array(held, name)
        return str(self.constants[key].name)

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output, and return its name."""
        from onnx import helper

        domain = ML if operator in OF_TABLES else ""
        output = self.name(operator.lower())
        node = helper.make_node(operator, list(inputs), [output], domain=domain, **attributes)
        self.nodes.append(node)
        return output

    def reduce(self, operator: str, value: str) -> str:
        """Add a sum over each row, or the like: (n, 1)."""
        if self.opset < SUMS_OF_AXES_GIVEN and operator != "ReduceSum":
            return self.add(operator, value, axes=[1], keepdims=1)
        return self.add(operator, value, self.constant([1], np.int64), keepdims=1)

    def cast(self, value: str, dtype: Any) -> str:
        """Add a conversion to another type."""
        return self.add("Cast", value, to=_element(dtype))

    def model(self, name: str, metadata: dict[str, str]) -> Any:
        """Return the model as onnx has it, checked, shapes included."""
        import onnx
        from onnx import helper

        graph = helper.make_graph(
            self.nodes, name, self.inputs, self.outputs, list(self.constants.values())
        )
        sets = [helper.make_opsetid("", self.opset)]
        if any(node.domain == ML for node in self.nodes):
            sets.append(helper.make_opsetid(ML, ML_VERSION))
        model = helper.make_model(
            graph, opset_imports=sets, producer_name="chainrule",
            producer_version=metadata["chainrule"], ir_version=helper.find_min_ir_version_for(sets),
        )  # fmt: skip
        helper.set_model_props(model, metadata)
        onnx.checker.check_model(model, full_check=True)
        return model


def _element(dtype: Any) -> int:
    """Return ONNX's number of a type."""
    from onnx import TensorProto, helper

    known = np.dtype(dtype)
    return TensorProto.STRING if known.kind in "OU" else helper.np_dtype_to_tensor_dtype(known)


def _described(name: str, dtype: Any, shape: tuple[Any, ...], holds: str = "") -> Any:
    from onnx import helper

    return helper.make_tensor_value_info(name, _element(dtype), shape, holds)
