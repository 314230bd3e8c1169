"""Pictures of every page of the explorer, at 1280 and 1920 pixels, light and dark: to look at after a change, and for
the README. `python benchmarks/screenshots.py demo/runs pictures [flip-flop]`."""

import subprocess
import sys
from pathlib import Path

from rnnscope.figures import browser_path

SERVE = "import sys; from rnnscope.app import serve; serve(sys.argv[1], port=0)"
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--use-gl=angle", "--use-angle=swiftshader",
             "--enable-unsafe-swiftshader"]  # fmt: skip
SIZES = ((1280, 860), (1920, 1080))
SETTLED = 2500  # milliseconds that a page has after its last figure is there


def main(folder: str, out: str, run: str = "flip-flop") -> None:
    from playwright.sync_api import sync_playwright

    Path(out).mkdir(parents=True, exist_ok=True)
    pages = {
        "runs": ("/", "a.run-name"),
        "run": (f"/run/{run}?time=20&unit=5&point=9", "#view-unit .main-svg"),
        "run-plane": (f"/run/{run}?time=20&dims=2&state=1&layers=points.connections.lines", "#view-space .overlay"),
        "cards": (f"/run/{run}#card-fixed_points", "#card-fixed_points .main-svg"),
        "train": ("/train", "#train-start, form, .mantine-Button-root"),
    }
    process = subprocess.Popen([sys.executable, "-c", SERVE, folder], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    address = process.stdout.readline().split()[-1]
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=browser_path(), args=ARGUMENTS)
            for width, height in SIZES:
                for scheme in ("light", "dark"):
                    for name, (path, there) in pages.items():
                        page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
                        page.goto(address + path)
                        if name == "cards":
                            page.locator("#view-space .overlay").wait_for(state="attached", timeout=90_000)
                            page.locator("#card-fixed_points").scroll_into_view_if_needed()
                        page.locator(there).first.wait_for(state="attached", timeout=90_000)
                        page.wait_for_timeout(SETTLED)
                        page.screenshot(path=Path(out) / f"{name}-{width}-{scheme}.png")
                        page.close()
            browser.close()
    finally:
        process.kill()


if __name__ == "__main__":
    main(*sys.argv[1:])
