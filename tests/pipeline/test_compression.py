"""Distilling and training on the grid as steps of a run: made once, resumed, shown by --ablate, refused where wrong."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgewright.compress.distill import DistillConfig, Teacher
from edgewright.compress.hidden import insides
from edgewright.data.files import read_json
from edgewright.errors import DamagedFileError, UsageError
from edgewright.models.encoder import Encoder, EncoderConfig
from edgewright.pipeline import recipe as recipes
from edgewright.pipeline import run as runs
from edgewright.pipeline import teach
from edgewright.pipeline.progress import Reporter
from tests.end_to_end.runs import SMALL, Run, changed, inside

STUDENT = (
    changed(
        SMALL,
        {
            'name = "small"': 'name = "student"\nseeds = [0, 1]',
            "buckets = 2000": "buckets = 1000",
            "epochs = 6": "epochs = 3",
            "lengths = [16, 64]": 'lengths = [64]\ntargets = ["litert"]\nnumerics = { litert = ["int8"] }',
            "min_accuracy = 0.5\nmax_accuracy_drop = 0.02\n": "min_accuracy = 0.3\n",
        },
    )
    + """
[distill]
teachers = ["tfidf", { name = "teacher.toml", weight = 2.0 }]
epochs = 3
learning_rate = 0.01
hidden = 0.1
transfer = { count = 800 }
[qat]
bits = 4
epochs = 2
[quantize]
bits = { embedding = 4 }
"""
)
TEACHER = """
name = "teacher"
task = "urgency"
[data]
count = 1500
[tokenizer]
kind = "hashed_ngrams"
buckets = 4000
[model]
family = "ngram_hybrid"
[train]
epochs = 4
[export]
lengths = [16, 64]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("distilled")
    (made / "student.toml").write_text(STUDENT, encoding="utf-8")
    (made / "teacher.toml").write_text(TEACHER, encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def ablated(folder: Path) -> Run:
    done = inside(
        *("run", folder / "student.toml", "--ablate", "--effort", "rapid", "--json"),
        *("--out", folder / "out", "--build", folder / "build"),
    )
    assert done.stdout, done.stderr[-3000:]
    return Run.of(folder, done)


def plan_of(folder: Path, *options: str) -> dict[str, dict[str, Any]]:
    recipe, build = folder / "student.toml", folder / "build"
    done = inside("run", recipe, "--plan", "--effort", "rapid", "--build", build, "--json", *options)
    assert done.code == 0, done.stderr
    return {step["stage"]: step for step in done.json()}


def test_a_run_shows_each_steps_artifact_and_compares_models_in_pairs(ablated: Run) -> None:
    steps = ablated.record["steps"]
    assert [(one["step"], one["target"]) for one in steps] == [(s, "litert") for s in ("train", "distill", "qat")]
    assert all(one["size_bytes"] > 0 and one["p50_ms"]["value"] > 0 for one in steps)
    pairs = {(one["model"], one["against"]): one for one in ablated.record["paired"]}
    assert set(pairs) == {("qat", "train"), ("qat", "distill"), ("qat", "teacher"), ("distill", "train")}
    for one in pairs.values():
        assert one["difference"]["value"] == pytest.approx(one["accuracy"] - one["accuracy_against"])
        assert one["difference"]["low"] <= one["difference"]["value"] <= one["difference"]["high"]


def test_the_reports_show_the_steps(ablated: Run) -> None:
    markdown = (ablated.out / "report.md").read_text(encoding="utf-8")
    page = (ablated.out / "report.html").read_text(encoding="utf-8")
    assert "By step (`--ablate`)" in markdown and "| distill | litert |" in markdown
    assert "What each step gave" in page and "Paired on the test rows" in page


def test_a_run_says_what_to_take_and_leaves_out_what_the_pairs_say_is_worse(ablated: Run) -> None:
    said = ablated.record["recommended"]
    (taught,) = (one for one in ablated.record["paired"] if (one["model"], one["against"]) == ("distill", "train"))
    worse = taught["difference"]["high"] < 0
    assert said["step"] == ("train" if worse else "qat") and said["without"] == (["distill"] if worse else [])
    assert said["artifacts"] == ([] if worse or ablated.record["verdict"] != "pass" else ["litert dynamic_wi8_afp32"])
    assert ("Not recommended: distill." in (ablated.out / "report.html").read_text(encoding="utf-8")) == worse


def test_a_run_without_ablate_says_that_it_did_not_measure_what_the_steps_gave(folder: Path, tmp_path: Path) -> None:
    recipe = recipes.read(folder / "student.toml")

    def notes(ablate: bool) -> str:
        prepared = runs.prepare(recipe, "rapid", tmp_path, Reporter(quiet=True), ablate=ablate)
        return " ".join(runs._notes(prepared, {"leaks": 0}))

    assert "What [distill] and [qat] gave or cost was not measured here: run --ablate says it" in notes(False)
    assert "--ablate" not in notes(True)


def test_teachers_answer_in_float16_and_leave_no_text(ablated: Run) -> None:
    for name in ("tfidf", "teacher"):
        (answers,) = ablated.build.glob(f"teach-{name}-*")
        described = read_json(answers / "answers.json")
        with np.load(answers / "answers.npz", allow_pickle=False) as arrays:
            assert arrays["logits"].dtype == np.float16
            assert len(arrays["logits"]) == described["training"] + described["transfer"]
            assert ("pooled" in arrays) == (name == "teacher")
        assert described["transfer"] == 800 and described["validation"] > 0.3
        assert {path.name for path in answers.iterdir()} == {"answers.npz", "answers.json"}


def test_a_second_run_reuses_everything_and_a_teacher_that_another_run_trained(ablated: Run, folder: Path) -> None:
    again = plan_of(folder, "--ablate")
    assert all(step["cached"] for step in again.values())
    assert "teacher/train-seed0" in again
    alone = inside(
        *("run", folder / "teacher.toml", "--plan", "--effort", "rapid", "--json", "--build", folder / "build")
    ).json()
    assert {step["stage"]: step["cached"] for step in alone}["train-seed0"], "the teacher's own run finds its model"


def test_a_fresh_student_needs_no_plain_training_and_no_teacher_once_it_has_answered(
    ablated: Run, folder: Path
) -> None:
    assert "train-seed0" not in plan_of(folder)
    recipe = folder / "student.toml"
    recipe.write_text(STUDENT.replace("hidden = 0.1", "hidden = 0.2"), encoding="utf-8")
    try:
        changed = plan_of(folder)
    finally:
        recipe.write_text(STUDENT, encoding="utf-8")
    assert not changed["distill-seed0"]["cached"] and changed["distill-seed0"]["reason"] == "changed: setting distill"
    assert changed["teach-teacher"]["cached"] and changed["teach-tfidf"]["cached"]


def test_the_bundle_says_which_layers_have_other_bits(ablated: Run) -> None:
    manifest = json.loads((ablated.bundle / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["quantization"] == {"bits": {"embedding": 4}, "embedding_scales": "table"}


def test_answers_in_parts_are_those_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also the relations between tokens, of which a text has as many as it has pairs of tokens."""
    torch.manual_seed(0)
    model = Encoder(EncoderConfig(50, classes=4, width=16, layers=1, heads=2, feedforward=16, positions=16)).eval()
    random = np.random.default_rng(0)
    ids = [random.integers(1, 50, random.integers(2, 12)).astype(np.int32) for _ in range(300)]
    config = DistillConfig(teachers=(Teacher("tfidf"),), hidden=1.0, attention=1.0)
    whole = teach.ask(model, ids, config)
    assert set(whole) == {"logits", "pooled", "relations", "relation_tokens"}
    assert whole["relation_tokens"].tolist() == [len(row) for row in ids]
    with torch.inference_mode():
        alone = np.stack([model(torch.from_numpy(row[None]))[0].numpy() for row in ids])
    assert np.allclose(whole["logits"], alone, atol=0.05)  # bfloat16, where the processor has it
    monkeypatch.setattr(teach, "PART", teach.BATCH)
    in_parts = teach.ask(model, ids, config, tmp_path / "kept")
    assert len(list((tmp_path / "kept").iterdir())) == 5
    again = teach.ask(model, ids, config, tmp_path / "kept")
    for name, values in whole.items():
        assert np.array_equal(in_parts[name], values) and np.array_equal(again[name], values), name


@pytest.mark.parametrize("damage", ["answers are of other texts", "no whole answers"])
def test_answers_of_other_texts_or_cut_short_are_not_taken(
    damage: str, ablated: Run, folder: Path, tmp_path: Path
) -> None:
    build = tmp_path / "build"
    shutil.copytree(folder / "build", build)
    (answers,) = build.glob("teach-tfidf-*")
    if damage == "no whole answers":
        (answers / "answers.npz").write_bytes((answers / "answers.npz").read_bytes()[:1000])
    else:
        described = read_json(answers / "answers.json") | {"texts": "0" * 64}
        (answers / "answers.json").write_text(json.dumps(described), encoding="utf-8")
    shutil.rmtree(next(iter(build.glob("distill-seed0-*"))))
    prepared = runs.prepare(recipes.read(folder / "student.toml"), "rapid", build, Reporter(quiet=True))
    with pytest.raises(DamagedFileError, match=damage):
        prepared.plan.graph.run(only={"distill-seed0"})


def test_an_interrupted_teacher_is_asked_only_what_it_has_not_answered(
    ablated: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = tmp_path / "build"
    shutil.copytree(folder / "build", build)
    (made,) = build.glob("teach-teacher-*")
    whole = tmp_path / "whole"
    made.rename(whole)
    asked: list[int] = []

    def counted(model: Any, rows: Any, *others: Any) -> Any:
        asked.append(len(rows))
        return insides(model, rows, *others)

    def interrupted(*arguments: Any) -> Any:
        if len(asked) == 20:
            raise KeyboardInterrupt
        return counted(*arguments)

    monkeypatch.setattr(teach, "PART", 3 * teach.BATCH)
    prepared = runs.prepare(recipes.read(folder / "student.toml"), "rapid", build, Reporter(quiet=True))
    monkeypatch.setattr(teach, "insides", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepared.plan.graph.run(only={"teach-teacher"})
    assert not made.exists()
    parts = sorted(build.glob("unfinished/teach-teacher-*/*.npz"))
    assert len(parts) >= 2
    parts[0].write_bytes(parts[0].read_bytes()[:1000])  # damaged: asked once more
    asked.clear()
    monkeypatch.setattr(teach, "insides", counted)
    prepared.plan.graph.run(only={"teach-teacher"})
    described = read_json(whole / "answers.json")
    all_texts = ablated.record["data"]["rows"]["validation"] + described["training"] + described["transfer"]
    assert sum(asked) == all_texts - (len(parts) - 1) * teach.PART
    assert read_json(made / "answers.json") == described
    with np.load(made / "answers.npz") as one, np.load(whole / "answers.npz") as other:
        assert set(one) == set(other) and all(np.array_equal(one[name], other[name]) for name in one)
    assert not list(build.glob("unfinished/teach-teacher-*"))


@pytest.mark.parametrize(
    "change, words",
    [
        (('"tfidf", {', '"nobody", {'), ("distill.teachers", "no recipe 'nobody'", "tfidf")),
        (("teacher.toml", "student.toml"), ("taught by itself",)),
        (("teacher.toml", "intent"), ("learns the task 'clinc150', not 'urgency'",)),
        (("hidden = 0.1", "hiden = 0.1"), ("[distill]", "unknown key 'hiden'", "did you mean 'hidden'")),
        (("hidden = 0.1", "attention = 1.0"), ("attention", "encoder")),
        (("bits = 4\nepochs = 2", "bits = 3"), ("qat.bits", "3")),
        (("bits = { embedding = 4 }", "bits = { embeding = 4 }"), ("embeding", "did you mean 'embedding'")),
    ],
)
def test_wrong_steps_are_refused_before_any_work(
    change: tuple[str, str], words: tuple[str, ...], folder: Path, tmp_path: Path
) -> None:
    assert change[0] in STUDENT
    (tmp_path / "student.toml").write_text(STUDENT.replace(*change), encoding="utf-8")
    (tmp_path / "teacher.toml").write_text(TEACHER, encoding="utf-8")
    with pytest.raises(UsageError) as said:
        runs.prepare(recipes.read(tmp_path / "student.toml"), "rapid", tmp_path / "build", Reporter(quiet=True))
    assert all(word in str(said.value) for word in ("student.toml", *words)) and "\n" not in str(said.value)
    assert not (tmp_path / "build").exists()


def test_steps_that_a_kind_of_task_does_not_have_are_refused() -> None:
    found = recipes.read(recipes.find("entities"))
    with pytest.raises(UsageError, match="is for tasks of kind single_label, not 'tags'"):
        runs.prepare(replace(found, distill={"teachers": ["tfidf"]}), "rapid", Path("nowhere"), Reporter(quiet=True))
