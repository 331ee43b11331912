"""The benchmark workflow, ours and the one that docs/regression-gate.md gives away: it can run, and may do little.

What only GitHub can show (that the comment appears) is not tested.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from edgewright import cli
from edgewright.data.files import read_json

ROOT = Path(__file__).parents[1]
WORKFLOW = ROOT / ".github" / "workflows" / "benchmark.yml"
GUIDE = ROOT / "docs" / "regression-gate.md"
TIMED = ("Time the base branch", "Time the pull request and compare", "Show the table")


def copies() -> dict[str, str]:
    (guide,) = re.findall(r"^```yaml\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return {"workflow": WORKFLOW.read_text(encoding="utf-8"), "guide": guide}


@pytest.fixture(params=["workflow", "guide"])
def workflow(request: pytest.FixtureRequest) -> Any:
    return yaml.safe_load(copies()[request.param])


def steps(workflow: Any) -> Iterator[dict[str, Any]]:
    for job in workflow["jobs"].values():
        yield from job["steps"]


def scripts(workflow: Any) -> list[str]:
    return [step["run"] for step in steps(workflow) if "run" in step]


def commands(script: str) -> Iterator[list[str]]:
    """The arguments of each call of edgewright in a script."""
    for line in script.replace("\\\n", " ").splitlines():
        if found := re.match(r"\s*(?:\w+=\S+ )?(?:python -m )?edgewright (.*)", line):
            yield shlex.split(found[1])


def test_it_runs_on_pull_requests_and_may_only_read(workflow: Any) -> None:
    assert list(workflow[True]) == ["pull_request"]  # "on" is a truth value in YAML 1.1
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]["cancel-in-progress"] is True
    assert all(job["timeout-minutes"] for job in workflow["jobs"].values())


def test_the_job_that_may_write_runs_no_code_of_the_pull_request(workflow: Any) -> None:
    writing = {name: job for name, job in workflow["jobs"].items() if "permissions" in job}
    assert {name: job["permissions"] for name, job in writing.items()} == {"comment": {"pull-requests": "write"}}
    assert "head.repo.full_name == github.repository" in writing["comment"]["if"]
    (used,) = [step["uses"] for step in writing["comment"]["steps"] if "uses" in step]
    assert used.startswith("actions/download-artifact@")
    assert not any(list(commands(step.get("run", ""))) for step in writing["comment"]["steps"])


def test_actions_are_pinned_to_commits(workflow: Any) -> None:
    used = [step["uses"] for step in steps(workflow) if "uses" in step]
    assert used and all(re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", action) for action in used)


def test_scripts_are_shell_and_hold_no_value_of_the_event(workflow: Any) -> None:
    for script in scripts(workflow):
        assert "${{" not in script, "a title or a branch's name would be run as shell"
        done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
        assert done.returncode == 0 and done.stderr == "", done.stderr


def test_every_command_line_is_one_that_edgewright_takes(workflow: Any) -> None:
    group: Any = typer.main.get_command(cli.app)
    lines = [arguments for script in scripts(workflow) for arguments in commands(script)]
    assert len(lines) == 3 and sum("--against" in line for line in lines) == 1
    for name, *arguments in lines:
        group.commands[name].make_context(name, list(arguments))  # raises UsageError for what it does not know


def test_the_guide_differs_from_our_own_only_where_it_says_so() -> None:
    ours, given = (list(steps(yaml.safe_load(text))) for text in copies().values())
    differing = [step["name"] for step, other in zip(ours, given, strict=True) if step != other and "name" in step]
    assert differing == ["Install", *TIMED[:2]]


@pytest.mark.slow
def test_the_steps_do_what_they_say(tmp_path: Path) -> None:
    """The same bundle on both sides: figures, a comparison that does not fail, and a table in the summary."""
    for side in ("base", "head"):
        (tmp_path / side).symlink_to(ROOT)
    environment = {
        **os.environ,
        "BUNDLE": "models/zoo/urgency",
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    by_name = {step["name"]: step["run"] for step in steps(yaml.safe_load(copies()["workflow"])) if "name" in step}
    for name in TIMED:
        script = by_name[name].replace("--effort normal", "--effort rapid").replace("--max-ratio 1.10", "--max-ratio 3")
        done = subprocess.run(
            ["bash", "-e", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    assert read_json(tmp_path / "figures/head/compare.json")["verdict"] in ("pass", "inconclusive")
    summary = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert summary.startswith("<!-- edgewright benchmark -->\n") and "litert" in summary
    assert (tmp_path / "figures/table.md").read_text(encoding="utf-8") == summary
