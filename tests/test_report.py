"""The report, the model card and the printed tables: one summary, three renderings that say the same."""

import copy
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from pipeline import report

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c636060606000000005000157bfabd40000000049454e44ae426082"
)
FIGURES = {"training_curves": PNG, "dev/roc": PNG, "eval/roc": PNG, "eval/attacks": PNG, "examples/spoof": PNG}


def group(kind, name, eer, **values):
    return {
        "kind": kind,
        "name": name,
        "seen": True,
        "trials": 1200,
        "speakers": 8,
        "eer": eer,
        "eer_low": eer / 2,
        "eer_high": eer * 2,
        "note": "",
        **values,
    }


SUMMARY = {
    "model": {
        "version": "demo-0123456789ab",
        "run_id": "a" * 32,
        "operating_point": "eer",
        "threshold": -0.26,
        "prior_spoof": 0.5,
        "miss": 0.059,
        "false_alarm": 0.061,
        "slope": 1.5,
        "intercept": -0.2,
    },
    "store": {"name": "demo", "folder": "demo-f05abcd47064", "split_by": "official", "of_training": True},
    "data": [
        {"subset": s, "bonafide": 300, "spoof": 4000, "speakers": 20, "attacks": 8, "hours": 1.25}
        for s in ("train", "dev", "eval")
    ],
    "results": {
        "dev": {"metrics": {"eer": 0.0598, "auc": 0.9897, "loss": 0.239, "accuracy": 0.94}, "note": "", "groups": []},
        "eval": {
            "metrics": {"eer": 0.1788, "eer_low": 0.15, "eer_high": 0.218, "auc": 0.8994, "loss": 0.4129},
            "note": "",
            "groups": [
                group("attack", "A_easy", 0.05),
                group("attack", "A_hard", 0.3, seen=False, note="few trials"),
                group("pool", "seen", 0.157),
                group("pool", "unseen", 0.198, seen=False, eer_low=None, eer_high=None),
            ],
        },
    },
    "settings": {
        "preset": "demo",
        "backbone": "efficientnetb0",
        "front_end": "logmel",
        "clip_s": 2.0,
        "corpus": "demo",
    },
    "environment": {"device": "CPU", "keras": "3.15.1"},
    "commands": {"train": "python -m pipeline.main --preset demo", "evaluate": "python -m pipeline.evaluate"},
}


class Page(HTMLParser):
    """Collects the tags, what they refer to, and the text of table rows."""

    def __init__(self, source: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.references: list[str] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in ("meta", "link", "img"):
            self.open.append(tag)
        self.references += [value for name, value in attrs if name in ("src", "href", "srcset")]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text += data
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def changed(**stores) -> dict:
    summary = copy.deepcopy(SUMMARY)
    summary["store"] |= stores
    return summary


def test_text_puts_subsets_side_by_side_and_the_hardest_attack_first():
    lines = report.text(SUMMARY).splitlines()
    assert lines[0].split() == ["dev", "eval"]
    assert lines[1].split() == ["EER", "5.98", "%", "17.88", "%", "(15.0–21.8)"]
    assert next(line for line in lines if line.startswith("accuracy")).split() == ["accuracy", "0.9400", "–"]
    attacks = [line.split()[0] for line in lines if re.match(r"(A_|seen|unseen)", line)]
    assert attacks == ["seen", "unseen", "A_hard", "A_easy"]
    assert next(line for line in lines if line.startswith("A_hard")).endswith("few trials")
    assert next(line for line in lines if line.startswith("unseen")).endswith("19.80 %")


def test_the_page_is_well_formed_and_refers_to_nothing_outside():
    page = Page(report.html(SUMMARY, FIGURES))
    assert page.open == []
    assert "script" not in page.tags
    assert page.tags.count("img") == len(FIGURES)
    assert all(reference.startswith("data:") for reference in page.references)
    assert "url(" not in report.STYLE
    assert "@import" not in report.STYLE


def test_the_page_says_what_the_text_says():
    page = Page(report.html(SUMMARY, FIGURES))
    assert ["EER", "5.98 %", "17.88 % (15.0–21.8)", report.METRICS["eer"][1]] in page.rows
    assert ["A_hard", "no", "1,200", "8", "30.00 % (15.0–60.0)", "few trials"] in page.rows
    assert ["train", "300", "4,000", "20", "8", "1.25"] in page.rows
    assert ["keras", "3.15.1"] in page.rows
    assert ["backbone", "efficientnetb0"] in page.rows
    assert "python -m pipeline.main --preset demo\npython -m pipeline.evaluate" in page.text
    assert "score −0.26, chosen on dev, where it has 5.9 % misses and 6.1 % false alarms" in page.text


def test_names_cannot_become_markup():
    summary = copy.deepcopy(SUMMARY)
    summary["results"]["eval"]["groups"][0]["name"] = "<script>alert(1)</script>"
    summary["commands"]["train"] = "python <b> & c"
    summary["model"]["version"] = "a<b"
    page = Page(report.html(summary, {}))
    assert "script" not in page.tags
    assert "<script>alert(1)</script>" in [row[0] for row in page.rows]
    assert "python <b> & c" in page.text
    assert "\\<script\\>" in report.model_card(summary)


def test_the_model_card_has_the_usual_headings_and_the_same_numbers():
    card = report.model_card(SUMMARY)
    headings = re.findall(r"^## (.+)$", card, re.MULTILINE)
    assert headings == ["Intended use", "Limits", "Data", "Metrics", "Ethics", "Licence", "Made by"]
    assert card.startswith("# demo-0123456789ab\n")
    assert "| EER | 5.98 % | 17.88 % (15.0–21.8) |" in card
    assert "- eval, A\\_hard: EER 30.00 % (15.0–60.0), 1,200 spoof trials (few trials)" in card
    assert "    python -m pipeline.main --preset demo" in card


@pytest.mark.parametrize("render", [report.text, report.model_card, lambda s: Page(report.html(s, {})).text])
def test_what_makes_figures_doubtful_is_said_everywhere(render):
    assert "these figures leak" in render(changed(split_by="stratified"))
    assert "nothing about real speech" in render(changed(name="synthetic"))
    one_class = changed()
    one_class["results"]["eval"] |= {"metrics": {"loss": 0.5}, "note": "one class only: spoof", "groups": []}
    assert "eval: one class only: spoof." in render(one_class)
    assert "leak" not in render(SUMMARY)


def test_another_store_than_the_training_one_is_said_to_be():
    text = Page(report.html(changed(of_training=False, folder="other-0"), {})).text
    assert "trained on the corpus demo. The figures here are of another Store, other-0" in text


def test_without_complete_figures_there_is_no_headline():
    summary = changed()
    summary["results"] = {"eval": {"metrics": {"loss": 0.5}, "note": "one class only: spoof", "groups": []}}
    assert 'class="headline"' not in report.html(summary, {})


@pytest.mark.parametrize(
    ("threshold", "shown"), [(1.234, "+1.23"), (-0.001, "0.00"), (0.0, "0.00"), (-10.0, "−10.00"), (10.0, "+10.00")]
)
def test_thresholds_are_shown_with_their_sign(threshold, shown):
    summary = changed()
    summary["model"]["threshold"] = threshold
    assert f"score {shown}, chosen" in report.text(summary)


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
def test_a_browser_without_network_shows_it_without_a_complaint(tmp_path):
    (tmp_path / "report.html").write_text(report.html(SUMMARY, FIGURES), encoding="utf-8")
    picture = tmp_path / "page.png"
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0"]
    command += ["--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path / 'profile'}"]
    command += [f"--screenshot={picture}", (tmp_path / "report.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr
    assert picture.stat().st_size > 5000
