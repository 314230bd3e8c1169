"""How fast the explorer is: the first figure of 100,000 states, a selection, a list of 10,000 runs, many browsers at
once, and whether the server's memory grows. `python benchmarks/explorer.py [first select list crowd pages memory]`."""

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import rnnscope as rs
from rnnscope import analyses
from rnnscope.figures import browser_path

SERVE = "import sys; from rnnscope.app import serve; serve(sys.argv[1], port=0)"
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--use-gl=angle", "--use-angle=swiftshader",
             "--enable-unsafe-swiftshader"]  # fmt: skip
REPEATS = 5
MANY_RUNS, BROWSERS, SECONDS, VIEWS = 10_000, 20, 60, 500


def served(folder: Path) -> tuple[str, subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-c", SERVE, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process.stdout.readline().split()[-1], process


def trained(folder: Path) -> None:
    """A flip-flop whose 128 trials of 781 steps are 100,000 states, and a small one."""
    for name, length, steps in (("large", 781, 40), ("small", 64, 300), ("other", 40, 100)):
        run = rs.train(rs.tasks.FlipFlop(3, length=length), rs.cells.Vanilla(32), steps=steps, name=name, folder=folder,
                       progress=False, checkpoints=(0, steps // 2))  # fmt: skip
        analyses.analyse(run, ["fixed_points", "linearisation", "state_space", "automaton"])


def first_figure(address: str, run: str, dims: str, browser: Any) -> tuple[float, Any]:
    """Seconds from the address to the drawn state space, and the page."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    began = time.perf_counter()
    page.goto(f"{address}/run/{run}?dims={dims}")
    page.locator("#view-space .overlay").wait_for(state="attached", timeout=120_000)
    return time.perf_counter() - began, page


SELECTION = """() => new Promise((done) => {
    const began = performance.now();
    window.rnnscope.select(%s);
    requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - began)));
})"""


def selections(page: Any) -> dict[str, float]:
    """Milliseconds from a selection to the second frame after it."""
    found = {}
    for name, change in {
        "a step": "{ time: (window.rnnscope.shared.selected.time + 1) % 50 }",
        "a trial": "{ trial: (window.rnnscope.shared.selected.trial + 1) % 50 }",
        "a point": "{ point: window.rnnscope.shared.scene.points.number[Math.floor(Math.random() * 5)] }",
    }.items():
        times = [page.evaluate(SELECTION % change) for _ in range(15)]
        found[name] = statistics.median(times)
    return found


def many(folder: Path) -> None:
    """Ten thousand runs: copies of what the list reads of one."""
    template = rs.train(
        rs.tasks.Parity(2), rs.cells.Vanilla(4), steps=2, name="run-00000", folder=folder, progress=False
    )
    record = json.loads((template.path / "run.json").read_text())
    for k in range(1, MANY_RUNS):
        place = folder / f"run-{k:05}"
        place.mkdir()
        (place / "run.json").write_text(json.dumps({**record, "seed": k}))
        shutil.copy(template.path / "digests.json", place / "digests.json")


def crowd(address: str) -> tuple[int, int, int]:
    """(answers, errors, answers about another run) of 20 clients at once, each on its own run, for a minute."""
    counts, lock, until = [0, 0, 0], threading.Lock(), time.monotonic() + SECONDS

    def client(k: int) -> None:
        run = ("large", "small")[k % 2]
        while time.monotonic() < until:
            for path in (f"_trial/{run}/{k}", f"_unit/{run}/{k % 32}", f"_card/{run}/fixed_points", f"_scene/{run}"):
                try:
                    with urllib.request.urlopen(f"{address}/{path}", timeout=60) as answer:
                        found = json.load(answer)
                    wrong = (found.get("trial", k) != k) or (found.get("run", run) != run)
                except Exception:  # noqa: BLE001 - counted
                    with lock:
                        counts[1] += 1
                    continue
                with lock:
                    counts[0] += 1
                    counts[2] += wrong

    threads = [threading.Thread(target=client, args=(k,)) for k in range(BROWSERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return counts[0], counts[1], counts[2]


SETTLED = """() => { const { scene, trialData, unitData, selected } = window.rnnscope.shared;
return scene && trialData && unitData && trialData.trial === selected.trial && unitData.unit === selected.unit
    ? [scene.run, selected.trial, selected.unit, trialData.states.length / scene.units] : null; }"""


def pages(address: str, browser: Any) -> tuple[int, int, list[str]]:
    """(views that were reached, of them those of another run or trial than was asked for; what went wrong) in 20
    windows that share nothing, each on a run, for a minute: trials, units, checkpoints, and cards."""
    wrong: list[str] = []
    opened = []
    for k in range(BROWSERS):
        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        page.set_default_timeout(300_000)
        page.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("response", lambda r: wrong.append(f"{r.status} {r.url}") if r.status >= 400 else None)
        run = ("small", "other")[k % 2]
        page.goto(f"{address}/run/{run}?dims=2&trial={k}")
        opened.append((page, run, {"small": 64, "other": 40}[run]))
    for page, *_ in opened:
        page.locator("#view-space .overlay").wait_for(state="attached")
    seen = crossed = turn = 0
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        wanted = [{"trial": (k + turn) % 60, "unit": (k + turn) % 32} for k in range(BROWSERS)]
        for (page, *_), change in zip(opened, wanted, strict=True):
            page.evaluate("(change) => window.rnnscope.select(change)", change)
            if turn % 5 == 4:
                page.keyboard.press("[" if turn % 2 else "]")
            if turn % 7 == 3:
                page.evaluate("window.scrollBy(0, 1500)")
        for (page, run, length), change in zip(opened, wanted, strict=True):
            while (found := page.evaluate(SETTLED)) is None:
                page.wait_for_timeout(20)
            crossed += found != [run, change["trial"], change["unit"], length]
            seen += 1
        turn += 1
    for page, *_ in opened:
        page.context.close()
    return seen, crossed, wrong


def resident(process: subprocess.Popen[str]) -> float:
    """Memory of a process in MB (Linux)."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmRSS"))) / 1024


def main(wanted: set[str]) -> None:
    from playwright.sync_api import sync_playwright

    folder = Path(tempfile.mkdtemp())
    try:
        trained(folder / "runs")
        address, process = served(folder / "runs")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=browser_path(), args=ARGUMENTS)
            first_figure(address, "small", "2", browser)[1].close()  # the server has imported everything
            for run, dims in (("small", "2"), ("small", "3"), ("large", "2"), ("large", "3")):
                times, page = [], None
                for _ in range(REPEATS if "first" in wanted else 1):
                    if page is not None:
                        page.close()
                    took, page = first_figure(address, run, dims, browser)
                    times.append(took)
                assert page is not None
                states = page.evaluate("window.rnnscope.shared.scene.length.reduce((a, b) => a + b, 0)")
                if "first" in wanted:
                    print(f"first figure, {states:,} states, {dims}-D: {statistics.median(times):.2f} s")
                if "select" in wanted:
                    page.wait_for_timeout(3000)
                    for name, took in selections(page).items():
                        print(f"  selection of {name} to the second frame: {took:.0f} ms")
                page.close()
            if "list" in wanted:
                many(folder / "many")
                other, listing = served(folder / "many")
                for state in ("first start", "again"):
                    page = browser.new_page(viewport={"width": 1280, "height": 900})
                    began = time.perf_counter()
                    page.goto(other)
                    page.locator("a.run-name").first.wait_for(timeout=120_000)
                    print(f"list of {MANY_RUNS:,} runs, {state}: first rows after {time.perf_counter() - began:.2f} s")
                    if state == "first start":
                        page.locator("#runs-note", has_text=f"{MANY_RUNS:,}").wait_for(timeout=120_000)
                        print(f"  all counted after {time.perf_counter() - began:.2f} s")
                        page.wait_for_timeout(20_000)
                    page.close()
                listing.kill()
            if "crowd" in wanted:
                answers, errors, crossed = crowd(address)
                print(f"{BROWSERS} clients: {answers:,} answers, {errors} errors, {crossed} of another run")
            if "pages" in wanted:
                seen, crossed, wrong = pages(address, browser)
                print(f"{BROWSERS} windows: {seen:,} views, {crossed} of another run, {len(wrong)} errors {wrong[:3]}")
            if "memory" in wanted:
                for run in ("large", "small"):
                    urllib.request.urlopen(f"{address}/_scene/{run}").read()
                begin = resident(process)
                for k in range(VIEWS):
                    run, step = (("large", 20), ("small", 150), ("large", 0), ("small", 0))[k % 4]
                    urllib.request.urlopen(f"{address}/_scene/{run}?step={step}").read()
                print(f"memory of the server over {VIEWS} changes of view: {begin:.0f} -> {resident(process):.0f} MB")
            browser.close()
        process.kill()
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(set(sys.argv[1:]) or {"first", "select", "list", "crowd", "pages", "memory"})
