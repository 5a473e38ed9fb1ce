"""The floor plan: each room imports only those below it, no two modules each other."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# From the roof to the ground, as docs/architecture.md draws them.
ROOMS = (
    *("cli", "commands", "study", "report", "exchange", "curate", "selftest"),
    *("train", "patches", "align", "photos", "parallel", "workspace", "compiled"),
)


def module_name(path):
    """The dotted name of a source file within the package."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def sources():
    """Dotted name → syntax tree of every module; packages themselves aside."""
    paths = [
        ROOT / "cli.py",
        *(p for room in ROOMS for p in (ROOT / room).rglob("*.py")),
    ]
    return {
        module_name(path): ast.parse(path.read_text(encoding="utf-8"))
        for path in paths
        if path.name != "__init__.py"
    }


def imports(tree):
    """Dotted names of everything that a module imports, also inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_imports():
    """Module → the modules of this package that it imports."""
    trees = sources()
    known = {f"dped_build.{name}": name for name in trees}
    return {
        name: {known[found] for found in imports(tree) if found in known} - {name}
        for name, tree in trees.items()
    }


def test_every_room_is_in_the_plan():
    assert {name.split(".")[0] for name in sources()} == set(ROOMS)


def test_imports_lead_downwards():
    rank = {room: number for number, room in enumerate(ROOMS)}
    upwards = [
        f"{name} imports {found}"
        for name, tree in sources().items()
        for found in imports(tree)
        if found.startswith("dped_build.")
        and rank[found.split(".")[1]] < rank[name.split(".")[0]]
    ]
    assert upwards == []


def test_no_module_imports_itself_by_way_of_others():
    # The names under TYPE_CHECKING count, too: whoever reads them follows them.
    list(TopologicalSorter(own_imports()).static_order())  # raises CycleError


def test_only_the_command_line_knows_click():
    knowing = {
        name.split(".")[0]
        for name, tree in sources().items()
        if any(found.split(".")[0] == "click" for found in imports(tree))
    }
    assert knowing == {"cli", "commands"}


def test_docs_draw_these_rooms_in_this_order():
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    places = [text.index(f"\n| `{room}") for room in ROOMS]
    assert places == sorted(places)
