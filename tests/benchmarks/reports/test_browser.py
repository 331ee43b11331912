"""The reports as a browser shows them: Chromium measures each page on a desk and on a phone, light and dark.

The pages themselves have no script: measure_page.js is put into copies of them, which nobody else sees.
"""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from edgewright.benchmarks.reports import (
    bench_report,
    compare_report,
    run_report,
    search_report,
    sensitivity_report,
)
from tests.benchmarks import sample_bench, sample_search, sample_sensitivity

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next((found for name in NAMES if (found := shutil.which(name))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium: apt install chromium")

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
SCHEMES = {"light": "1", "dark": "0"}  # Blink's own numbers of prefers-color-scheme
DESK, PHONE = 1280, 390

# Plots of each page by their titles, and tables by section with the least rows that the samples give.
PLOTS = {
    "run": {
        *("Latency of one inference, p50", "Text to label, p50", "Size against accuracy", "Confusion matrix"),
        "Size against accuracy, by step",
    },
    "bench": {
        *("Text to label, p50", "Medians of the blocks over time", "Latency by length", "Throughput by batch"),
        *("Where the time goes", "Roofline"),
    },
    "peers": {
        *("Size against accuracy", "Latency against accuracy", "Medians of the blocks over time"),
    },
    "compare": {"New over base"},
    "search": {
        *("accuracy on validation against shipped, MB", "accuracy on validation against text → label, p50, ms"),
    },
    "sensitivity": {
        *("Points of accuracy, one layer alone", "Divergence in 1/1000 nat, one layer alone", "All layers together"),
    },
}
TABLES = {
    "run": {"artifacts": 8, "steps": 5, "one-model": 2, "baselines": 3, "gates": 20, "golden": 1, "unsupported": 2},
    "bench": {"latency": 14, "validity": 7, "lengths": 4, "throughput": 4, "threads": 4, "roofline": 36},
    "peers": {"peers": 9, "validity": 8},
    "compare": {"rows": 12},
    "search": {"front": 9, "chosen": 6, "trials": 30},
    "sensitivity": {"layers": 9, "choices": 3},
}

SCRIPT = Path(__file__).with_name("measure_page.js")

Measured = dict[tuple[str, str, int], dict[str, Any]]  # by scheme, page and width


@pytest.fixture(scope="module")
def pages(sample: ModuleType) -> dict[str, str]:
    return {
        "run": run_report.html(sample.sample_record(), sample.sample_details()),
        "bench": bench_report.html(sample_bench.sample_bench(quiet=False)),
        "peers": bench_report.html(sample_bench.sample_peers()),
        "compare": compare_report.html(sample_bench.sample_comparison()),
        "search": search_report.html(sample_search.sample()),
        "sensitivity": sensitivity_report.html(sample_sensitivity.sample()),
    }


@pytest.fixture(scope="module")
def measured(pages: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """What Chromium measures of a page at a width, light or dark. Chromium starts once for each scheme."""
    folder = tmp_path_factory.mktemp("pages")
    return {
        (scheme, *key): facts
        for scheme in SCHEMES
        for key, facts in _open(pages, folder, scheme, (DESK, PHONE)).items()
    }


def _open(
    pages: dict[str, str], folder: Path, scheme: str, widths: tuple[int, ...]
) -> dict[tuple[str, int], dict[str, Any]]:
    """Each page at each width, in frames of one document: Chromium makes no window of its own as narrow as a phone."""
    assert BROWSER is not None
    script = f"<script>{SCRIPT.read_text(encoding='utf-8')}</script></body>"
    frames = [
        f'<iframe name="{name}" srcdoc="{html.escape(page.replace("</body>", script))}" '
        f'style="width: {width}px; height: 2000px; border: 0"></iframe>'
        for name, page in pages.items()
        for width in widths
    ]
    around = folder / f"{scheme}.html"
    head = '<!doctype html><meta charset="utf-8"><style>:root { color-scheme: light dark; }</style>'
    around.write_text(f"{head}<body>{''.join(frames)}</body>", encoding="utf-8")
    command = [BROWSER, *FLAGS, f"--user-data-dir={folder / scheme}", "--window-size=1400,1000"]
    command += [f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}", "--dump-dom", around.as_uri()]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=240, check=True
    )  # a busy machine takes a minute
    found = [json.loads(html.unescape(note)) for note in re.findall(r'<pre class="facts">(.*?)</pre>', done.stdout)]
    assert len(found) == len(frames), f"{len(found)} of {len(frames)} pages were measured: {done.stderr[-300:]}"
    return {(facts["name"], facts["width"]): facts for facts in found}


each_page = pytest.mark.parametrize("page", PLOTS)
each_width = pytest.mark.parametrize("width", [DESK, PHONE])
each_scheme = pytest.mark.parametrize("scheme", SCHEMES)


@each_scheme
@each_width
@each_page
def test_every_plot_and_table_is_there(page: str, width: int, scheme: str, measured: Measured) -> None:
    facts = measured[scheme, page, width]
    assert {title for title, _, _ in facts["plots"]} == PLOTS[page]
    assert len(facts["plots"]) == len(PLOTS[page]), "both layouts of a plot are shown"
    for title, wide, tall in facts["plots"]:
        assert wide >= 260 and tall >= 90, title
    for section, least in TABLES[page].items():
        assert facts["rows"].get(section, 0) >= least, section


@each_scheme
@each_width
@each_page
def test_nothing_is_cut_off_or_covered(page: str, width: int, scheme: str, measured: Measured) -> None:
    facts = measured[scheme, page, width]
    assert facts["scroll"] <= width and not facts["wide"]
    assert not facts["cut"] and not facts["covered"]


@each_scheme
@each_width
@each_page
def test_every_text_can_be_read(page: str, width: int, scheme: str, measured: Measured) -> None:
    contrast, words = measured[scheme, page, width]["faintest"]
    assert contrast >= 4.5, f"{words!r}: WCAG asks 4.5 for text"


@each_page
def test_dark_is_dark_and_light_is_light(page: str, measured: Measured) -> None:
    light, dark = (measured[scheme, page, DESK] for scheme in ("light", "dark"))
    assert _brightness(light["paper"]) > 200 > 100 > _brightness(light["ink"])
    assert _brightness(dark["ink"]) > 200 > 100 > _brightness(dark["paper"])


@each_page
def test_no_request_leaves_the_page(page: str, pages: dict[str, str], measured: Measured) -> None:
    assert "<script" not in pages[page]
    assert not measured["light", page, DESK]["requests"]


def _brightness(colour: str) -> float:
    return sum(int(part) for part in re.findall(r"\d+", colour)[:3]) / 3
