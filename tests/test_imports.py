"""Who may import whom: the rule of docs/architecture.md, read off the code."""

import ast
import subprocess
import sys

import pytest

from tests.conftest import ROOT

# Leaves that every room may use.
_LEAVES = {
    "config",
    "errors",
    "locks",
    "output_files",
    "progress",
    "text_files",
    "workers",
}
_ALLOWED = {
    "config": {"errors"},
    "errors": set(),
    "locks": {"errors"},
    "output_files": {"errors"},
    "progress": set(),
    "text_files": {"errors"},
    "workers": {"errors"},
    "devices": {"errors"},
    "network": _LEAVES,
    "tokenization": _LEAVES,
    "records": _LEAVES,
    "checkpoints": _LEAVES | {"network"},
    "pretraining": _LEAVES | {"tokenization", "records"},
    "pretrained": _LEAVES | {"checkpoints", "tokenization"},
    "features": _LEAVES
    | {"checkpoints", "network", "pretrained", "tokenization"},
    "tasks": _LEAVES
    | {"network", "records", "tokenization", "checkpoints", "pretrained"},
    "training": _LEAVES | {"records", "checkpoints", "devices"},
    "finetuning": _LEAVES
    | {
        "checkpoints",
        "devices",
        "network",
        "pretrained",
        "tasks",
        "tokenization",
        "training",
    },
    "export": _LEAVES
    | {
        "checkpoints",
        "features",
        "finetuning",
        "network",
        "pretrained",
        "tasks",
        "tokenization",
    },
    "serving": _LEAVES | {"tokenization"},
}
_SCRIPT_MAY = {
    "modeling",
    "common_flags",
    "fine_tuning_flags",
    "task_flags",
    "training_flags",
}
SOURCES = sorted((ROOT / "modeling").rglob("*.py"))
SCRIPTS = sorted(p for p in ROOT.glob("*.py") if p.name != "setup.py")


def imported_modules(path):
    """Every module that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in {path}"
            yield node.module


def room(path):
    parts = path.relative_to(ROOT / "modeling").parts
    return parts[0].removesuffix(".py")


@pytest.mark.parametrize(
    "path", SOURCES, ids=lambda path: str(path.relative_to(ROOT))
)
def test_library_keeps_the_import_rule(path):
    here = room(path)
    if here == "__init__":
        return
    assert here in _ALLOWED, f"{here} has no place in the rule"
    for module in imported_modules(path):
        top, _, rest = module.partition(".")
        assert top not in {p.stem for p in SCRIPTS}, f"{path} imports a script"
        if top == "modeling":
            there = rest.split(".")[0]
            assert there == here or there in _ALLOWED[here], (path, module)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_import_the_library_and_never_one_another(path):
    names = {p.stem for p in SCRIPTS}
    for module in imported_modules(path):
        top = module.partition(".")[0]
        assert top not in names - _SCRIPT_MAY, (path.name, module)


def test_network_uses_no_back_end_directly():
    for path in (ROOT / "modeling" / "network").glob("*.py"):
        # Keras has no way to ask a back end to compile a function.
        if path.name == "fused.py":
            continue
        for module in imported_modules(path):
            assert module.partition(".")[0] not in {"tensorflow", "jax"}, path


def test_flags_are_read_in_top_level_files_only():
    for path in SOURCES:
        modules = set(imported_modules(path))
        assert not modules & {"absl.flags", "absl.app"}, path
        assert "FLAGS" not in path.read_text(encoding="utf-8"), path


def test_network_imports_without_tensorflow():
    code = (
        "import sys; sys.modules['tensorflow'] = None;"
        "import modeling.config, modeling.network, modeling.tokenization"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"KERAS_BACKEND": "jax", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    if "No module named 'jax'" in result.stderr:
        pytest.skip("jax is not installed")
    assert result.returncode == 0, result.stderr
