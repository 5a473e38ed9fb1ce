"""Writes docs/api.md from the signatures and docstrings of the public names.

Run: `python docs/make_api.py` after changing one of them; a test fails where it is
stale.
"""

import ast
import inspect
import re
import textwrap
from importlib import import_module
from pathlib import Path

PAGE = Path(__file__).with_name("api.md")
PUBLIC = {
    "dped_build.align": (
        "align_pair",
        "align_folders",
        "Alignment",
        "AlignSettings",
        "PairingSettings",
    ),
    "dped_build.patches": (
        "extract_patches",
        "build_shards",
        "PatchSettings",
        "PatchDataset",
    ),
    "dped_build.train": (
        "Generator",
        "FastGenerator",
        "SRCNN",
        "Discriminator",
        "train",
        "TrainSettings",
        "enhance",
        "load_generator",
    ),
    "dped_build.train.losses": (
        "color_loss",
        "content_loss",
        "texture_loss",
        "total_variation_loss",
    ),
    "dped_build.train.metrics": ("psnr", "ssim", "ms_ssim"),
}
HEAD = """# Python API

Written by [make_api.py](make_api.py) from the code. What is not here may change.

Photos are RGB uint8 (H, W, 3) (`Photo`, `NDArray[np.uint8]`), tensors float32
(B, 3, H, W) in [0, 1]; points are (x, y) with pixel centres at integers; everything
after the data is given by name. A caller's mistake is a `ValueError`, or a
`dped_build.workspace.errors.DpedBuildError` whose text says what to do.
[quickstart.ipynb](quickstart.ipynb) uses most of it.
"""
SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Yields):$")
ITEM = re.compile(r"^([\w*` ]+(?: or \w+)*):\s+(.*)$", re.DOTALL)
WIDTH = 88


def page() -> str:
    """The whole page, as Markdown."""
    parts = [HEAD]
    for module, names in PUBLIC.items():
        parts.append(f"## {module}\n\n{_code(_import(module, names))}\n")
        if module.count(".") > 1:  # of functions alone: what they share stands on top
            parts.append(inspect.cleandoc(import_module(module).__doc__ or "") + "\n")
        parts += [described(module, name) for name in names]
        if "extract_patches" in names:
            parts.append(described("dped_build.patches.records", "Patches"))
            parts.append(described("dped_build.patches.records", "Windows"))
    return "\n".join(parts)


def described(module: str, name: str) -> str:
    """One function or class."""
    source = textwrap.dedent(inspect.getsource(getattr(import_module(module), name)))
    node = ast.parse(source).body[0]
    if isinstance(node, ast.FunctionDef):
        return f"### {name}\n\n{_code(signature(node))}\n\n{prose(node)}"
    if not isinstance(node, ast.ClassDef):
        raise TypeError(f"{module}.{name} is neither a function nor a class")
    annotated = [item for item in node.body if isinstance(item, ast.AnnAssign)]
    fields = annotated if node.decorator_list else []  # of a dataclass
    bases = ", ".join(ast.unparse(base) for base in node.bases)
    head = f"class {name}({bases})" if bases else f"class {name}"
    parts = [f"### {name}\n", prose(node)]
    if fields and "Attributes:" not in (ast.get_docstring(node) or ""):
        parts.append(_field_table(fields, source.splitlines()))
    methods = [item for item in node.body if isinstance(item, ast.FunctionDef)]
    shown = [m for m in methods if not m.name.startswith("_") or _is_shown(m)]
    listed = [
        f"- {_inline(signature(method))}{_first_line(method)}" for method in shown
    ]
    if listed:
        parts.append("\n".join(listed) + "\n")
    return "\n".join([parts[0], _code(head), "", *parts[1:]])


def _is_shown(method: ast.FunctionDef) -> bool:
    return method.name in ("__init__", "__len__", "__getitem__")


def _first_line(method: ast.FunctionDef) -> str:
    text = " ".join((ast.get_docstring(method) or "").split("\n\n")[0].split())
    return f": {text.rstrip('.')}" if text else ""


def signature(node: ast.FunctionDef) -> str:
    """As written, in one line, or a parameter a line where that is too long."""
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    line = f"{node.name}({ast.unparse(node.args)}){returns}"
    if len(line) <= WIDTH:
        return line
    found = node.args
    defaults = [None] * (len(found.args) - len(found.defaults)) + found.defaults
    written = [_parameter(*both) for both in zip(found.args, defaults, strict=True)]
    if found.kwonlyargs:
        written.append("*")
        written += [
            _parameter(*both)
            for both in zip(found.kwonlyargs, found.kw_defaults, strict=True)
        ]
    return f"{node.name}(\n    " + ",\n    ".join(written) + f",\n){returns}"


def _parameter(argument: ast.arg, default: ast.expr | None) -> str:
    text = ast.unparse(argument)
    return text if default is None else f"{text} = {ast.unparse(default)}"


def prose(node: ast.FunctionDef | ast.ClassDef) -> str:
    """A docstring's text, and its sections as lists."""
    blocks: list[str] = []
    for block in (ast.get_docstring(node) or "").split("\n\n"):
        title, _, rest = block.partition("\n")
        if SECTION.match(title):
            blocks.append(f"**{title[:-1]}**\n\n{_items(textwrap.dedent(rest))}")
        else:
            blocks.append(block)
    return "\n\n".join(blocks) + "\n"


def _items(text: str) -> str:
    """The entries of a section, one line each; plain text where there are none."""
    entries = re.split(r"\n(?=\S)", text)
    matched = [ITEM.match(" ".join(entry.split())) for entry in entries]
    if not all(matched):
        return text
    return "\n".join(f"- `{m[1]}`: {m[2]}" for m in matched if m)


def _field_table(fields: list[ast.AnnAssign], lines: list[str]) -> str:
    rows = ["| field | type | default | |", "|---|---|---|---|"]
    for field in fields:
        default = "" if field.value is None else f"`{ast.unparse(field.value)}`"
        if default == "`OF_PRESET`":
            default = "the preset's"
        comment = lines[(field.end_lineno or 1) - 1].partition("  # ")[2]
        kind = ast.unparse(field.annotation).replace("|", "\\|")
        name = ast.unparse(field.target)
        rows.append(f"| `{name}` | `{kind}` | {default} | {comment} |")
    return "\n".join(rows) + "\n"


def _import(module: str, names: tuple[str, ...]) -> str:
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= WIDTH:
        return line
    return f"from {module} import (\n    " + ",\n    ".join(names) + ",\n)"


def _code(text: str) -> str:
    return f"```python\n{text}\n```"


def _inline(text: str) -> str:
    line = " ".join(text.split()).replace("( ", "(").replace(", )", ")")
    return f"`{line}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
