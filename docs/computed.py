"""Computed: the directive that sets a formula beside the lines of the library that compute it.

A page names functions and how the lines begin; see `source_lines.find_lines`:

    ```{computed} BP4
    :lines: network.backpropagate: into.dW[l]
    \\frac{\\partial C}{\\partial w_{jk}} = a_j\\, \\delta_k
    ```
"""

from typing import ClassVar

from docutils import nodes
from source_lines import find_lines
from sphinx.util.docutils import SphinxDirective


class Computed(SphinxDirective):
    """A formula, and beside it the lines that compute it."""

    has_content = True
    optional_arguments = 1  # the formula's name
    final_argument_whitespace = True
    option_spec: ClassVar = {"lines": str}

    def run(self):
        """Return the formula and the lines side by side."""
        tex = "\n".join(self.content)
        formula = nodes.container(classes=["computed-formula"])
        if self.arguments:
            name, messages = self.parse_inline(self.arguments[0])
            formula += [nodes.paragraph("", "", *name, classes=["computed-name"]), *messages]
        formula += nodes.math_block(tex, tex, nowrap=False, number=None, label=None)
        code = nodes.container(classes=["computed-by"])
        for line in find_lines(self.options["lines"]):
            code += nodes.literal_block(line.text, line.text, language="python")
            code += nodes.paragraph("", line.place, classes=["computed-place"])
        return [nodes.container("", formula, code, classes=["computed"])]


def setup(app):
    """Add the directive."""
    app.add_directive("computed", Computed)
    return {"parallel_read_safe": True}
