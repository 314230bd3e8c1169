"""A report in a real browser: figures are drawn as they come into view, and all of them for printing."""

import re
from typing import Any

from browsing import ARGUMENTS, PATIENCE
from playwright.sync_api import sync_playwright

import rnnscope as rs
from rnnscope.figures import browser_path


def darkness(page: Any) -> bool:
    """Whether the ground of the page is dark."""
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(map(int, re.findall(r"\d+", ground)[:3])) < 300


def test_a_report_is_drawn_and_asks_nobody(tmp_path):
    run = rs.train(rs.tasks.FlipFlop(2), rs.cells.Vanilla(6), steps=4, folder=tmp_path, name="run", progress=False)
    few = {"state_space": {"n_trials": 8}, "lyapunov": {"n_steps": 20}, "finite_time": {"n_trials": 8}}
    rs.analyses.analyse(run, list(few), settings=few)
    (path,) = rs.report(run, tmp_path / "report.html")
    wrong: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 700}, color_scheme="dark")
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        own = ("file:", "data:", "blob:")
        page.on("request", lambda r: None if r.url.startswith(own) else wrong.append(r.url))
        page.goto(path.as_uri())
        page.wait_for_selector("figure[data-state=drawn] .main-svg")
        n = page.locator("figure").count()
        assert page.locator("figure[data-state=drawn]").count() < n, "all are drawn before anybody looks"
        page.evaluate("drawAll()")
        assert page.locator("figure:is([data-state=drawn], [data-state=picture])").count() == n
        assert darkness(page)
        page.emulate_media(color_scheme="light")
        assert not darkness(page)
        page.emulate_media(media="print", color_scheme="dark")
        assert not darkness(page), "ink is saved"
        assert not page.locator("#print").is_visible()
        assert page.evaluate("Math.max(...[...document.querySelectorAll('figure')].map(f => f.offsetWidth))") <= 900
        browser.close()
    assert not wrong
