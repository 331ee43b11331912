"""A search on a cluster of three nodes of this machine, of which one is killed while it trains: no trial is lost."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from edgewright.data.files import read_json
from tests.end_to_end.runs import inside, refused
from tests.end_to_end.test_search import RECIPE, complete, states

pytest.importorskip("ray", reason="needs edgewright[ray]")
TRIALS = 3
PATIENCE_SECONDS = 900.0  # five minutes were too few where six processes shared two cores


def test_a_node_that_is_killed_takes_no_trial_with_it(tmp_path: Path) -> None:
    from ray.cluster_utils import Cluster

    recipe = tmp_path / "tiny.toml"
    # long enough that the node is killed while it trains
    recipe.write_text(RECIPE.replace("epochs = 2", "epochs = 25"), encoding="utf-8")
    where = ("--out", tmp_path / "out", "--build", tmp_path / "build", "--effort", "rapid", "--json")
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "resources": {"edgewright_time": 1}, "include_dashboard": False},
    )
    try:
        nodes = [cluster.add_node(num_cpus=1, resources={"edgewright_train": 1}) for _ in range(2)]
        options = ("--max-bytes", "400_000", "--trials", str(TRIALS), "--ray", cluster.address)
        command = [sys.executable, "-m", "edgewright", "search", *map(str, (recipe, *where, *options))]
        with (tmp_path / "log").open("w") as log, (tmp_path / "answer").open("w") as answer:
            search = subprocess.Popen(command, stdout=answer, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"})
            end = time.monotonic() + PATIENCE_SECONDS
            # both train: two states of unfinished trainings lie there
            while search.poll() is None and len(list((tmp_path / "build").glob("unfinished/train-*"))) < 2:
                assert time.monotonic() < end
                time.sleep(0.1)
            assert search.poll() is None, (tmp_path / "log").read_text(encoding="utf-8")[-3000:]
            cluster.remove_node(nodes[0], allow_graceful=False)
            code = search.wait(PATIENCE_SECONDS)
        said = (tmp_path / "log").read_text(encoding="utf-8")
        assert code == 0, said[-3000:]
        record = read_json(tmp_path / "out" / "search.json")
        assert len(record["trials"]) == TRIALS == complete(tmp_path)
        assert set(states(tmp_path)) == {"COMPLETE"}  # the trial that was cut off went on as itself
        assert record["lost"] >= 1 and "it is made again" in said
        assert all(trial["trained"] and trial["p50_ms"] for trial in record["trials"])
    finally:
        cluster.shutdown()  # type: ignore[no-untyped-call]


def trains(node: Any, build: Path) -> bool:
    """Whether a process of the node works on a trial, while a training is under way.

    Which node got which trial is Ray's affair, and the two need not train at the same time.
    """
    raylet = node.all_processes["raylet"][0].process.pid
    children = Path(f"/proc/{raylet}/task/{raylet}/children").read_text(encoding="ascii").split()
    return any(b"ray::_remote" in title(child) for child in children) and any(build.glob("unfinished/train-*"))


def title(process: str) -> bytes:
    """What a process calls itself; b"" where it has ended meanwhile."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def test_an_address_where_no_cluster_answers_is_one_line(tmp_path: Path) -> None:
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(RECIPE, encoding="utf-8")
    done = inside("search", recipe, "--out", tmp_path / "out", "--build", tmp_path / "b", "--ray", "127.0.0.1:1")
    refused(done, 2, "--ray 127.0.0.1:1", "no Ray cluster")
