"""Opens pages of `statebench report` from disk in Chromium, as a reader would, and uses them.

The pages are those that the unit tests of the page write to target/browser. STATEBENCH_CHROMIUM names the browser, STATEBENCH_AXE the
script of axe-core; scripts/browser.sh finds both.
"""

import os
import pathlib
import unittest

from chromium import Chromium

PAGES = pathlib.Path(__file__).resolve().parents[2] / "target" / "browser"
NAMES = ["one", "sweep", "several", "hostile", "nothing"]
SHOTS = PAGES / "shots"


class ReportInABrowser(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        missing = [name for name in NAMES if not (PAGES / f"{name}.html").exists()]
        if missing:
            raise RuntimeError(f"{PAGES} lacks {missing}: run `cargo test --lib pages_for_the_browser` first")
        SHOTS.mkdir(exist_ok=True)
        cls.axe = pathlib.Path(os.environ["STATEBENCH_AXE"]).read_text()
        cls.browser = Chromium(os.environ["STATEBENCH_CHROMIUM"]).__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.browser.__exit__(None, None, None)

    def open(self, name, **options):
        page = self.browser.page(**options).open(PAGES / f"{name}.html")
        self.addCleanup(page.close)
        return page

    def test_pages_open_from_disk_without_a_request_or_an_error(self):
        for name in NAMES:
            with self.subTest(name):
                page = self.open(name)
                self.assertEqual(page.evaluate("document.documentElement.dataset.script"), "on")
                self.assertEqual(page.complaints(), [])

    def test_nothing_of_a_hostile_workload_is_executed(self):
        page = self.open("hostile")
        self.assertEqual(page.evaluate("document.querySelectorAll('img, iframe, object, embed').length"), 0)
        self.assertEqual(page.evaluate("document.scripts.length"), 2)
        self.assertIn("<img src=x onerror=alert(1)>", page.evaluate("document.querySelector('h1').textContent"))
        # What a page may not do is refused by its policy, even if something had come through.
        page.evaluate("(() => { const s = document.createElement('script'); s.textContent = 'window.pwned = 1'; document.body.append(s); })()")
        self.assertIsNone(page.evaluate("window.pwned"))

    def test_nothing_overflows_at_any_width(self):
        for name in NAMES:
            for width in [360, 1280, 1920]:
                with self.subTest(name=name, width=width):
                    page = self.open(name, width=width)
                    self.assertLessEqual(page.evaluate("document.documentElement.scrollWidth"), width)
                    outside = page.evaluate("""[...document.querySelectorAll('body *')].filter(e => {
                        const box = e.getBoundingClientRect();
                        return box.width && box.right > innerWidth + 1 && !e.closest('.scroll, .plot, pre, .skip');
                    }).map(e => e.outerHTML.slice(0, 120))""")
                    self.assertEqual(outside, [])
                    page.screenshot(SHOTS / f"{name}-{width}.png")

    def test_tables_sort_and_filter(self):
        page = self.open("one")
        rates = "[...document.querySelectorAll('#configurations tbody tr')].map(r => Number(r.dataset.rate))"
        self.assertEqual(len(page.evaluate(rates)), 2)
        page.click("#configurations th:nth-child(3) button")
        self.assertEqual(page.evaluate(rates), sorted(page.evaluate(rates)))
        self.assertEqual(page.evaluate("document.querySelector('#configurations th:nth-child(3)').ariaSort"), "ascending")
        page.click("#configurations th:nth-child(3) button")
        self.assertEqual(page.evaluate(rates), sorted(page.evaluate(rates), reverse=True))
        # By keyboard too.
        page.evaluate("document.querySelector('#configurations th:nth-child(1) button').focus()")
        page.key("Enter")
        self.assertEqual(page.evaluate("document.querySelector('#configurations th:nth-child(1)').ariaSort"), "ascending")
        page = self.open("sweep")
        visible = "[...document.querySelectorAll('#configurations tbody tr')].filter(r => r.checkVisibility()).length"
        before = page.evaluate(visible)
        page.evaluate("""(() => { const f = document.querySelector('#summary input[type=search]');
            f.value = '=16mb'; f.dispatchEvent(new Event('input')); })()""")
        self.assertTrue(0 < page.evaluate(visible) < before, before)

    def test_series_and_scales_are_toggled_with_and_without_scripts(self):
        for scripts in [True, False]:
            with self.subTest(scripts=scripts):
                page = self.open("one", scripts=scripts)
                line = "getComputedStyle(document.querySelector('#chart-percentiles .p0 g.d0')).display != 'none'"
                self.assertTrue(page.evaluate(line))
                page.click("#chart-percentiles .s0")
                self.assertFalse(page.evaluate(line))
                page.click("#chart-percentiles .s0")
                self.assertTrue(page.evaluate(line))
                views = "[0, 1].map(at => document.querySelector('#chart-percentiles .p' + at).checkVisibility())"
                self.assertEqual(page.evaluate(views), [True, False])
                page.click("#chart-percentiles .v1")
                self.assertEqual(page.evaluate(views), [False, True])

    def test_values_are_told_under_the_pointer_and_by_the_keys(self):
        page = self.open("one")
        tip = "(() => { const t = document.querySelector('.tip'); return t.hidden ? '' : t.textContent; })()"
        for chart, words in [("percentiles", "heap: "), ("heat", " events, "), ("throughput", "/s"), ("overview", "heap: ")]:
            page.evaluate(f"document.querySelector('#chart-{chart} svg').scrollIntoView({{block: 'center'}})")
            box = page.evaluate(f"(() => {{ const b = document.querySelector('#chart-{chart} svg[role=img]').getBoundingClientRect();"
                                "return [b.x, b.y, b.width, b.height]; })()")
            found = ""
            for down in [0.2, 0.3, 0.4, 0.5, 0.7]:
                page.mouse("mouseMoved", box[0] + 0.4 * box[2], box[1] + down * box[3])
                found = found or page.evaluate(tip)
            self.assertIn(words, found, chart)
        page.mouse("mouseMoved", 2, 2)
        self.assertEqual(page.evaluate(tip), "")
        page.evaluate("document.querySelector('#chart-percentiles .plot').focus()")
        page.key("ArrowRight")
        first = page.evaluate(tip)
        page.key("ArrowRight")
        self.assertTrue(first and page.evaluate(tip) and first != page.evaluate(tip), first)
        page.key("Escape")
        self.assertEqual(page.evaluate(tip), "")
        self.assertEqual(page.complaints(), [])

    def test_a_baseline_is_chosen_and_a_configuration_copied(self):
        page = self.open("one")
        ratios = "[...document.querySelectorAll('#configurations .ratio')].map(c => c.textContent.trim())"
        self.assertIn(page.evaluate(ratios)[0], ["1.00×"])
        page.evaluate("(() => { const s = document.querySelector('#baseline'); s.value = '1'; s.dispatchEvent(new Event('change')); })()")
        self.assertEqual(page.evaluate(ratios)[1], "1.00×")
        self.assertNotEqual(page.evaluate(ratios)[0], "1.00×")
        page.click("#config button.tool")
        page.evaluate("new Promise(done => setTimeout(done, 200))")
        self.assertEqual(page.evaluate("document.querySelector('#config button.tool').textContent"), "Copied")

    def test_themes_and_paper_are_legible(self):
        colours = "['backgroundColor', 'color'].map(k => getComputedStyle(document.body)[k])"
        light = self.open("one").evaluate(colours)
        page = self.open("one", media=("", "dark"))
        dark = page.evaluate(colours)
        self.assertNotEqual(light[0], dark[0])
        page.screenshot(SHOTS / "one-dark.png")
        line = "getComputedStyle(document.querySelector('#chart-percentiles g.d0 path')).fill"
        self.assertNotEqual(self.open("one").evaluate(line), page.evaluate(line))
        # The button goes from the system's choice to light and to dark.
        page.click("#theme")
        self.assertEqual(page.evaluate(colours), light)
        page.click("#theme")
        self.assertEqual(page.evaluate(colours), dark)
        paper = self.open("one", media=("print", "dark"), width=794)
        self.assertEqual(paper.evaluate(colours)[0], "rgb(255, 255, 255)")
        self.assertFalse(paper.evaluate("document.querySelector('nav').checkVisibility()"))
        paper.screenshot(SHOTS / "one-print.png")
        pdf = self.open("one").pdf()
        self.assertTrue(pdf.startswith(b"%PDF") and len(pdf) > 50_000, len(pdf))
        (SHOTS / "one.pdf").write_bytes(pdf)

    def test_everything_is_there_without_scripts(self):
        page = self.open("one", scripts=False)
        self.assertIsNone(page.evaluate("document.documentElement.dataset.script"))
        self.assertGreater(page.evaluate("[...document.querySelectorAll('figure svg[role=img]')].filter(s => s.checkVisibility()).length"), 8)
        self.assertGreater(page.evaluate("document.querySelectorAll('table').length"), 10)

    def test_axe_finds_nothing_serious(self):
        for name in NAMES:
            for scheme in ["light", "dark"]:
                with self.subTest(name=name, scheme=scheme):
                    page = self.open(name, media=("", scheme))
                    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
                    page.evaluate(self.axe + "; true")
                    found = page.evaluate("""axe.run(document, {resultTypes: ['violations']}).then(r => r.violations
                        .filter(v => ['serious', 'critical'].includes(v.impact))
                        .map(v => v.id + ': ' + v.help + ': ' + v.nodes.slice(0, 3).map(n => n.html.slice(0, 160) + ' ' + n.failureSummary).join(' | ')))""")
                    self.assertEqual(found, [])


if __name__ == "__main__":
    unittest.main()
