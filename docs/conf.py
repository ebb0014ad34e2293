"""Site: how the pages of this folder become HTML: sphinx-build -W docs build/docs."""

import ast
import re
import sys
import warnings
from pathlib import Path

from docutils import nodes
from latex2mathml.converter import convert

import chainrule

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
STUB = Path(chainrule.__file__).with_suffix(".pyi")

project, author, copyright = "chainrule", "The chainrule developers", "The chainrule developers"
version = release = chainrule.__version__
extensions = ["myst_nb", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "computed"]
exclude_patterns = ["images/*"]
html_theme = "pydata_sphinx_theme"
html_title = "chainrule"
html_math_renderer = "mathml"
html_static_path, html_css_files = ["static"], ["site.css"]
html_sidebars = {
    "index": [],
    "get_started": [],
}  # pages of their own; the others stand in a section
html_show_sourcelink = False
html_theme_options = {
    "show_prev_next": True,
    "secondary_sidebar_items": {"index": [], "**": ["page-toc"]},
    "show_toc_level": 2,
    "navigation_with_keys": False,
}
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 90
nb_merge_streams = True
autosummary_generate = True
autodoc_typehints = "none"
autodoc_default_options = {"members": True, "undoc-members": False}
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
default_role = "code"
python_use_unqualified_type_names = True

warnings.filterwarnings("ignore", message=".*NumPy, which takes several times as long.*")


def public_rooms():
    """Return {room: its public names}, in the order of the stub."""
    rooms = {}
    for line in ast.parse(STUB.read_text("utf-8")).body:
        if isinstance(line, ast.ImportFrom):
            rooms.setdefault(line.module, []).extend(each.asname for each in line.names)
    return dict(sorted(rooms.items()))


def write_reference():
    """Write reference.rst: a table for each room, of every public name, from the stub."""
    lines = [
        "API reference",
        "=============",
        "",
        "Every public name, by the room it lives in.",
        "",
    ]
    for room, names in public_rooms().items():
        doc = sys.modules.get(f"chainrule.{room}") or __import__(
            f"chainrule.{room}", fromlist=["x"]
        )
        word, says = doc.__doc__.split("\n")[0].split(": ", 1)
        lines += [word, "-" * len(word), "", says[0].upper() + says[1:], ""]
        lines += [".. currentmodule:: chainrule", "", ".. autosummary::", "   :toctree: reference"]
        things = {name: getattr(chainrule, name) for name in names}
        lines += ["", *(f"   {name}" for name, it in things.items() if callable(it)), ""]
        for name, table in things.items():
            if not callable(table):
                lines += [f"``{name}``: " + ", ".join(f"``{each}``" for each in table) + ".", ""]
    lines += ["Pictures", "--------", "", "See also :doc:`gallery`.", ""]
    lines += [
        ".. currentmodule:: chainrule.plots",
        "",
        ".. autosummary::",
        "   :toctree: reference",
    ]
    from chainrule import plots

    pictures = [name for name in vars(plots) if name.startswith(("plot_", "save_"))]
    lines += ["", *(f"   {name}" for name in pictures), ""]
    text = "\n".join(lines)
    page = HERE / "reference.rst"
    if not page.exists() or page.read_text("utf-8") != text:
        page.write_text(text, "utf-8")


def escape_signs(app, what, name, thing, options, lines):
    """Keep |w| and name_ in a docstring what they are, and scikit-learn's links as plain words."""
    for i, line in enumerate(lines):
        plain = line.split("``")
        for j in range(0, len(plain), 2):
            words = re.sub(r":(?:ref|term):`([^`<]*?)\s*(?:<[^`]*>)?`", r"\1", plain[j])
            words = re.sub(r"(?<![\w`*])([A-Za-z]\w*)_(?=[\s,.;)]|$)", r"\1\\_", words)
            plain[j] = words.replace("|", r"\|")
        lines[i] = "``".join(plain)


def trim(app, doctree):
    """Take the empty line from the end of examples, which only doctest needs."""
    for block in doctree.findall(nodes.literal_block):
        text = block.astext().rstrip()
        block.rawsource, block.children = text, []
        block += nodes.Text(text)


def mathml(node, display):
    """Return a formula as MathML, the prime beside its letter: it is raised already."""
    text = convert(node.astext(), display=display)
    prime = r"<msup>(<mi>[^<]*</mi>)<mi>&#x02032;</mi></msup>"
    return re.sub(prime, r'\1<mo lspace="0" rspace="0">&#x02032;</mo>', text)


def inline_math(self, node):
    """Write a formula within a line as MathML, which needs no script and no network."""
    self.body.append(mathml(node, "inline"))
    raise nodes.SkipNode


def block_math(self, node):
    """Write a formula on lines of its own as MathML."""
    self.body.append(f'<div class="formula">{mathml(node, "block")}</div>\n')
    raise nodes.SkipNode


def setup(app):
    """Prepare the reference, and teach Sphinx to write MathML."""
    write_reference()
    app.add_html_math_renderer("mathml", (inline_math, None), (block_math, None))
    app.connect("doctree-read", trim)
    app.connect("autodoc-process-docstring", escape_signs, priority=900)
