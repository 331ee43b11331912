"""The shape of the repository: links, import direction, and what must not be written anywhere."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ["errors", "data", "models", "train", "compress", "runtimes", "export", "benchmarks", "pipeline", "cli"]
WITHOUT_TORCH = ["edgewright.data.tokenizer", "edgewright.data.tasks", "edgewright.runtimes.predictor"]


def test_each_package_folder_is_linked() -> None:
    folders = {p.parent.name for p in ROOT.glob("*/__init__.py")} - {"tests"}
    links = {p.name for p in (ROOT / "src/edgewright").iterdir() if p.is_symlink()}
    assert links == folders, f"without link: {folders - links}; without folder: {links - folders}"


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_go_downwards_only(layer: str) -> None:
    above = set(LAYERS[LAYERS.index(layer) + 1 :])
    wrong = [f"{file.relative_to(ROOT)}: {name}" for file in _files(layer) for name in _imported(file) if name in above]
    assert wrong == []


@pytest.mark.parametrize("module", WITHOUT_TORCH)
def test_a_server_predicts_without_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_help_is_quick_because_it_loads_no_large_library() -> None:
    code = (
        "import sys, edgewright.cli; found = {'torch', 'numpy', 'sklearn', 'jinja2'} & set(sys.modules);"
        "print(found); sys.exit(bool(found))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def _files(layer: str) -> list[Path]:
    single = ROOT / "src" / "edgewright" / f"{layer}.py"
    return [single] if single.exists() else sorted((ROOT / layer).rglob("*.py"))


def _imported(file: Path) -> set[str]:
    """The layers that a file imports, at its top or inside a function."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("edgewright.")}
