"""A repository's own settings run nothing, whatever commands they name."""

import subprocess

import pytest

from harness.errors import HarnessError
from harness.plan.git import git_file, git_state


def git(folder, *words):
    who = ["-c", "user.name=n", "-c", "user.email=e@x", "-c", "commit.gpgsign=false"]
    found = subprocess.run(["git", "-C", str(folder), *who, *words], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return found.stdout


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with one commit, in a world without settings of the user's own."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "b.json").write_text("first\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    return folder


@pytest.fixture
def trap(tmp_path):
    """A program that leaves a file when it is run."""
    program, mark = tmp_path / "trap.sh", tmp_path / "sprung"
    program.write_text(f"#!/bin/sh\ntouch {mark}\ncat\n")
    program.chmod(0o755)
    return program, mark


def test_the_revision_and_whether_files_differ(repository):
    state = git_state(repository)
    assert state.revision == git(repository, "rev-parse", "HEAD").strip()
    assert not state.dirty
    (repository / "b.json").write_text("second\n")
    assert git_state(repository).dirty


def test_a_folder_without_a_repository_has_no_state(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_state(tmp_path) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(tmp_path) is None


SETTINGS = [
    "core.fsmonitor", "core.pager", "pager.show", "pager.status", "core.sshCommand", "core.askPass", "diff.external",
    "credential.helper", "gpg.program", "core.editor", "filter.x.clean", "filter.x.process", "filter.x.smudge",
    "diff.x.textconv", "diff.x.command", "core.alternateRefsCommand",
]  # fmt: skip


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_command_in_the_repository_s_settings_does_not_run(repository, trap, setting):
    program, mark = trap
    (repository / ".gitattributes").write_text("* filter=x diff=x\n")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "attributes")
    git(repository, "config", setting, str(program))
    git(repository, "config", "filter.x.required", "true")
    git(repository, "config", "log.showSignature", "true")
    # of the same size, written again: git has to read it to see whether it differs
    (repository / "b.json").write_text("other\n")
    assert git_state(repository).dirty
    (repository / "b.json").write_text("first\n")
    git_state(repository)
    assert git_file(repository / "b.json", "main") == "first\n"
    assert not mark.exists()


@pytest.mark.parametrize("setting", ["core.fsmonitor", "filter.x.clean"])
def test_the_trap_springs_under_plain_git(repository, trap, setting):
    program, mark = trap
    (repository / ".gitattributes").write_text("* filter=x\n")
    git(repository, "config", setting, str(program))
    (repository / "b.json").write_text("other\n")
    git(repository, "status")
    assert mark.exists()


def test_hooks_and_aliases_do_not_run(repository, trap):
    program, mark = trap
    hooks = repository / ".git" / "hooks"
    for name in (
        "post-index-change",
        "post-checkout",
        "fsmonitor-watchman",
        "pre-commit",
        "query-watchman",
    ):
        (hooks / name).write_text(program.read_text())
        (hooks / name).chmod(0o755)
    for word in ("status", "cat-file", "rev-parse"):
        git(repository, "config", f"alias.{word}", f"!{program}")
    (repository / "b.json").write_text("second\n")
    assert git_state(repository).dirty
    assert git_file(repository / "b.json", "HEAD") == "first\n"
    assert not mark.exists()


def test_the_settings_of_a_submodule_do_not_run(repository, trap, tmp_path):
    program, mark = trap
    inner = repository / "inner"
    git(tmp_path, "clone", "-q", str(repository), str(inner))
    git(
        repository, "-c", "protocol.file.allow=always", "submodule", "add", "-q", "./inner", "inner"
    )
    git(repository, "commit", "-qm", "submodule")
    git(inner, "config", "core.fsmonitor", str(program))
    (inner / "b.json").write_text("second\n")
    assert git_state(repository) is not None
    assert not mark.exists()


@pytest.mark.parametrize(
    "reference",
    ["", "-h", "--help", "--output=x", "--textconv", "nowhere", "a\x00b"],
)
def test_what_is_no_reference_is_refused(repository, reference):
    with pytest.raises(HarnessError):
        git_file(repository / "b.json", reference)
    assert sorted(p.name for p in repository.iterdir()) == [".git", "b.json"]


def test_a_file_that_a_revision_lacks_is_named(repository):
    with pytest.raises(HarnessError, match=r"git cannot show \S+c\.json at main"):
        git_file(repository / "c.json", "main")
