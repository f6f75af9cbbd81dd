"""The page in a real browser, from a file and without a network."""

from __future__ import annotations

import shutil

import pytest

from ganlet.errors import EnvironmentProblem
from ganlet.export import to_web
from ganlet.workflows.lab.lab import Lab
from ganlet.workflows.sampling import sample
from ganlet.workflows.whence import whence

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync "
    "--no-first-run"
)
pytestmark = pytest.mark.slow
chromium = shutil.which("chromium")


@pytest.fixture(scope="module")
def page_file(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    shutil.copytree(run.path, folder / "some")
    Lab.open(folder / "some").find_directions(["factorisation"], num=2)
    return to_web(folder / "some", folder / "page.html", moments=2)


@pytest.fixture
def visit(page_file):
    """Opens the page at an address; what it asked for and complained of is kept beside it."""
    sync_api = pytest.importorskip("playwright.sync_api")
    if chromium is None:
        pytest.skip("chromium is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS.split())
        context = browser.new_context(offline=True, viewport={"width": 390, "height": 844})
        page = context.new_page()
        requests, complaints = [], []
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))

        visited = set()

        def opened(address="", file=page_file):
            visited.add(file.as_uri())
            page.goto(f"{file.as_uri()}{address}")
            page.locator("html[data-ready]").wait_for()
            return page

        yield opened
        others = [one for one in requests if not one.startswith(("data:", "blob:"))]
        assert {one.partition("#")[0] for one in others} == visited
        assert [one for one in complaints if "willReadFrequently" not in one] == []  # that is this test's reading
        browser.close()


def pixels(page):
    return page.locator("#picture").evaluate(
        "canvas => Array.from(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data)"
    )


def test_it_draws_the_same_pictures_as_at_home_and_says_so(visit, page_file):
    page = visit("#seed=5")
    assert "same pictures as at home" in page.locator("#seal .words").inner_text()
    home = sample(page_file.parent / "some", 1, seed=5)[0]
    there = pixels(page)
    for channel in range(3):
        expected = home[..., channel].ravel().astype(int)
        assert max(abs(expected - there[channel::4])) <= 1


def test_taps_keys_seeds_and_addresses(visit):
    page = visit()
    first = pixels(page)
    page.locator("#new").click()
    page.locator("#seed").fill("7")
    page.locator("#seed").press("Enter")
    page.wait_for_url("**#seed=7")
    seventh = pixels(page)
    assert seventh != first
    page.locator("h1").click()
    page.keyboard.press("ArrowLeft")
    page.wait_for_url("**#seed=6")
    page.locator(".sliders input").first.fill("2")
    page.wait_for_url("**along=*")
    moved, address = pixels(page), page.url
    again = visit(f"#{address.partition('#')[2]}")
    assert pixels(again) == moved


def test_every_tab_works(visit):
    page = visit("#seed=4")
    for name in ("bend", "label", "between", "many", "learning"):
        page.locator(f"#tab-{name}").click()
        page.wait_for_timeout(200)
    assert page.locator("#learning output").inner_text().endswith("images")
    page.locator("#moment").fill("0")
    page.wait_for_timeout(100)
    assert "after 64 images" in page.locator("#caption").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("button", ["save", "save-many"])
def test_saved_pictures_say_whence(visit, page_file, tmp_path, button):
    page = visit("#seed=9")
    if button == "save-many":
        page.locator("#tab-many").click()
        page.wait_for_timeout(600)
    with page.expect_download() as waiting:
        page.locator(f"#{button}").click()
    file = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(file)
    origin = whence(file, page_file.parent / "some")
    assert origin.verdict in ("same", "rounded")
    assert origin.certificate.how["seed"] == 9
    assert len(origin.certificate) == (16 if button == "save-many" else 1)


def test_what_our_own_runtime_does_not_know_is_drawn_by_onnx_runtime_web(visit, rare, tmp_path):
    try:
        file = to_web(rare, tmp_path / "page.html", runtime="ort", moments=2, find_directions=False)
    except EnvironmentProblem as error:
        pytest.skip(error.what)
    page = visit("#seed=5", file)
    home = sample(rare, 1, seed=5, game=rare.game)[0]
    there = pixels(page)
    for channel in range(3):
        assert max(abs(home[..., channel].ravel().astype(int) - there[channel::4])) <= 1
    for name in ("between", "many", "learning"):
        page.locator(f"#tab-{name}").click()
        page.wait_for_timeout(300)
    assert "images" in page.locator("#caption").inner_text()
