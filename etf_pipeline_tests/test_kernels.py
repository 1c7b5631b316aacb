"""Where compiled kernels are kept, and what is compiled ahead."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from etf_pipeline import kernel_cache, kernels
from etf_pipeline.kernel_cache import cache_folder, use_own_cache


@pytest.fixture
def core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the code that is compiled, which a test may change, and an empty cache."""
    copy = tmp_path / "core"
    shutil.copytree(kernel_cache.CORE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(kernel_cache, "CORE", copy)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    return copy


def test_the_folder_stays_while_the_code_does(core: Path) -> None:
    first = cache_folder()
    (core / "notes.md").write_text("not code")
    assert cache_folder() == first


@pytest.mark.parametrize("file", ["parallel.py", "risk/garch/likelihood.py"])
def test_another_folder_for_other_code(core: Path, file: str) -> None:
    first = cache_folder()
    (core / file).write_text((core / file).read_text() + "\n# changed\n")
    assert cache_folder() != first


def test_it_lies_below_the_folder_asked_for(core: Path, tmp_path: Path) -> None:
    assert cache_folder().parent == tmp_path / "cache"


def test_without_one_it_lies_in_the_users_cache(
    core: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder().parent == tmp_path / "xdg" / "etf_pipeline"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder().parent == tmp_path / "home" / ".cache" / "etf_pipeline"


def test_where_the_users_cache_cannot_be_written_it_is_a_temporary_one(
    core: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    assert cache_folder().parent.parent == tmp_path / "temporary"


def test_another_checkout_of_the_same_code_has_its_own(
    core: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = cache_folder()
    second = shutil.copytree(core, tmp_path / "second" / "core")
    monkeypatch.setattr(kernel_cache, "CORE", second)
    assert cache_folder() != first, "numba keeps code by the place of its file: there it would compile again"


def test_make_and_the_command_share_one() -> None:
    assert "NUMBA_CACHE_DIR" not in (PACKAGE.parent / "Makefile").read_text()


def test_a_process_started_by_this_one_uses_the_same(core: Path) -> None:
    first = cache_folder()
    os.environ["NUMBA_CACHE_DIR"] = str(first)
    assert cache_folder() == first


def test_numba_is_told_before_a_kernel_exists() -> None:
    code = (
        "import etf_pipeline, os, numba; from etf_pipeline.kernel_cache import cache_folder; "
        "assert numba.config.CACHE_DIR == os.environ['NUMBA_CACHE_DIR'] == str(cache_folder())"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_numba_already_imported_is_told_too(core: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import numba

    monkeypatch.setattr(numba.config, "CACHE_DIR", "elsewhere")
    use_own_cache()
    assert str(cache_folder()) == numba.config.CACHE_DIR


class Compiler:
    """Stands in for the process that compiles: remembers what it was asked, and ends as told."""

    def __init__(self, code: int) -> None:
        self.code, self.asked = code, []

    def __call__(self, command: list[str]) -> int:
        self.asked.extend(command[3:])
        return self.code


def test_every_part_is_compiled_once(core: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler, said = Compiler(0), []
    monkeypatch.setattr(kernels.subprocess, "call", compiler)
    assert not kernels.is_compiled()
    kernels.compile_kernels(said.append)
    kernels.compile_kernels(said.append)
    assert sorted(compiler.asked) == sorted(kernels.PARTS)
    assert kernels.is_compiled()
    assert len(said) == 1


def test_parts_that_fail_are_tried_again(core: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = Compiler(1)
    monkeypatch.setattr(kernels.subprocess, "call", compiler)
    kernels.compile_kernels()
    assert not kernels.is_compiled()
    kernels.compile_kernels()
    assert len(compiler.asked) == 2 * len(kernels.PARTS)


def test_a_process_of_its_own_tells_of_failure() -> None:
    command = [sys.executable, "-m", "etf_pipeline.kernels", "quality", "no such part"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    assert "no such part" in ended.stderr


def test_a_named_part_runs_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    monkeypatch.setattr(kernels, "PARTS", {name: (lambda n=name: ran.append(n)) for name in ("one", "two")})
    kernels.main(["two"])
    assert ran == ["two"]
    with pytest.raises(KeyError):
        kernels.main(["three"])


DECORATORS = {"njit", "compiled", "summed"}
PACKAGE = kernel_cache.CORE.parent
Node = ast.FunctionDef | ast.ClassDef


@cache
def source(module: str) -> tuple[dict[str, Node], dict[str, tuple[str, str]]]:
    """What a module of the project defines, and what it imports from others: name -> module, name there."""
    path = PACKAGE.parent.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    tree = ast.parse(file.read_text(encoding="utf-8"))
    imported = {
        alias.asname or alias.name: (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("etf_pipeline.core")
        for alias in node.names
    }
    return {node.name: node for node in tree.body if isinstance(node, Node)}, imported


def is_kernel(node: Node) -> bool:
    return any(
        getattr(part, "id", getattr(part, "attr", None)) in DECORATORS
        for decorator in node.decorator_list
        for part in ast.walk(decorator)
    )


def kernels_reached(start: list[tuple[str, str]]) -> set[tuple[str, str]]:
    """Kernels that Python code reaches by name from the functions named, as (module, name)."""
    reached, seen, ahead = set(), set(), list(start)
    while ahead:
        module, name = ahead.pop()
        if (module, name) in seen:
            continue
        seen.add((module, name))
        defined, imported = source(module)
        if name not in defined:
            ahead += [imported[name]] if name in imported else []
        elif is_kernel(defined[name]):
            reached.add((module, name))
        else:
            names = [part for part in ast.walk(defined[name]) if isinstance(part, ast.Name)]
            own = {part.id for part in names if isinstance(part.ctx, ast.Store)}
            used = {part.id for part in names} - own
            ahead += [(module, other) for other in used & (defined.keys() | imported.keys())]
    return reached


def test_whatever_kernel_an_asset_reaches_is_compiled_ahead() -> None:
    """A kernel left out would be compiled in the middle of a user's first build."""
    if not kernels.is_compiled():
        pytest.skip("the kernels of this version are not compiled: python -m etf_pipeline.kernels")
    start = []
    for file in (PACKAGE / "defs").rglob("*.py"):
        _, imported = source(".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts))
        start += imported.values()
    needed = kernels_reached(start)
    assert len(needed) >= 20
    code = (
        "import importlib, sys; from etf_pipeline import kernels\n"
        "for part in kernels.PARTS.values(): part()\n"
        "for name in sys.argv[1:]:\n"
        "    module, _, kernel = name.rpartition('.')\n"
        "    if not getattr(importlib.import_module(module), kernel).signatures: print(name)\n"
    )
    names = [".".join(kernel) for kernel in sorted(needed)]
    ran = subprocess.run([sys.executable, "-c", code, *names], check=True, capture_output=True, text=True)
    assert ran.stdout.split() == []
