"""Where compiled kernels are kept, and what is compiled ahead."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
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
    """Stands in for the processes that compile: remembers what it was asked, and ends as told."""

    def __init__(self, code: int) -> None:
        self.code, self.asked = code, []

    def __call__(self, command: list[str]) -> Compiler:
        self.asked.append(command[-1])
        return self

    def wait(self) -> int:
        return self.code


def test_every_part_is_compiled_once(core: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler, said = Compiler(0), []
    monkeypatch.setattr(kernels.subprocess, "Popen", compiler)
    assert not kernels.is_compiled()
    kernels.compile_kernels(said.append)
    kernels.compile_kernels(said.append)
    assert sorted(compiler.asked) == sorted(kernels.PARTS)
    assert kernels.is_compiled()
    assert len(said) == 1


def test_a_part_that_fails_is_tried_again(core: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = Compiler(1)
    monkeypatch.setattr(kernels.subprocess, "Popen", compiler)
    kernels.compile_kernels()
    assert not kernels.is_compiled()
    kernels.compile_kernels()
    assert len(compiler.asked) == 2 * len(kernels.PARTS)


def test_a_named_part_runs_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    monkeypatch.setattr(kernels, "PARTS", {name: (lambda n=name: ran.append(n)) for name in ("one", "two")})
    kernels.main(["two"])
    assert ran == ["two"]
    with pytest.raises(KeyError):
        kernels.main(["three"])
