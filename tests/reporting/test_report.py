"""The report, the model card and the printed tables: one summary, three renderings that say the same."""

import base64
import copy
import re
from html.parser import HTMLParser

import pytest

from pipeline.reporting import markup, model_card, plain_text, report, wording

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c636060606000000005000157bfabd40000000049454e44ae426082"
)
FIGURES = dict.fromkeys(
    ["training_curves", "dev/roc", "eval/roc", "eval/attacks", "eval/reliability", "examples/spoof", "robustness"],
    PNG,
)
CLIPS = [(PNG, b"fLaC right"), (PNG, b"fLaC wrong")]


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
        "bonafide": 300,
        "condition": "",
        "against": "",
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
        "dev": {"metrics": {"eer": 0.0598, "auc": 0.9897, "loss": 0.239, "accuracy": 0.94}, "uncalibrated": {}}
        | {"note": "", "groups": []},
        "eval": {
            "metrics": {
                **{"eer": 0.1788, "eer_low": 0.15, "eer_high": 0.218, "auc": 0.8994, "loss": 0.4129},
                **{"cllr": 0.5, "cllr_low": 0.45, "cllr_high": 0.56, "act_dcf": 0.4},
            },
            "uncalibrated": {"cllr": 1.25, "act_dcf": 0.9},
            "note": "",
            "groups": [
                group("attack", "A_easy", 0.05),
                group("attack", "A_hard", 0.3, seen=False, note="few trials"),
                group("pool", "seen", 0.157),
                group("pool", "unseen", 0.198, seen=False, eer_low=None, eer_high=None),
                group("condition", "R01", 0.25, condition="recorder", against="bonafide"),
                group("condition", "R02", 0.35, condition="recorder", against="bonafide", note="few trials"),
                group("speaker", "S7", 0.1),
            ],
        },
    },
    "main": "eval",
    "most_values": 50,
    "operating_points": [
        {
            **{"name": "eer", "threshold": -0.26, "prior_spoof": 0.5, "miss": 0.059, "false_alarm": 0.061},
            "rates": {"eval": [0.2, 0.15]},
        },
        {
            **{"name": "prior=0.5,miss=1,false_alarm=1", "threshold": 0.0, "prior_spoof": 0.5},
            **{"miss": None, "false_alarm": None, "rates": {}},
        },
    ],
    "shortcuts": {
        "findings": [
            {"kind": kind, "name": name, "auc": auc, "low": auc - 0.05, "high": auc + 0.05, "spoof_trials": 40}
            for kind in ("duration", "all together")
            for name, auc in (("all", 0.55), ("A_hard", 0.81))
        ],
        "warnings": ["Shortcut: duration tells the classes apart."],
    },
    "against": {
        "version": "notebook-1",
        "operating_point": "eer",
        "results": {},
        "differences": {
            "eval": {
                "all attacks": {
                    **{"trials": 4300, "own_eer": 0.1788, "other_eer": 0.25, "difference": 0.0712},
                    **{"low": 0.05, "high": 0.09, "own_right": 300, "other_right": 100, "p": 1e-9},
                },
                "unseen attacks": {
                    **{"trials": 2000, "own_eer": 0.26, "other_eer": 0.25, "difference": -0.01},
                    **{"low": None, "high": None, "own_right": 10, "other_right": 12, "p": 0.8318},
                },
            }
        },
    },
    "robustness": [
        {"condition": c, "value": v, "eer": e, "eer_low": e - 0.01, "eer_high": e + 0.01, "trials": 4300}
        for c, v, e in (("clean", "", 0.18), ("babble", "10 dB", 0.3), ("babble", "5 dB", 0.4), ("codec", "MP3", 0.2))
    ],
    "clips": [
        {
            **{"right": right, "utterance_id": f"E_{right}", "label": "spoof", "attack": "A_hard", "speaker": "S7"},
            **{"score": score, "path": "/data/a b.wav"},
        }
        for right, score in ((True, -3.0), (False, 2.0))
    ],
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
    lines = plain_text.text(SUMMARY).splitlines()
    assert lines[0].split() == ["dev", "eval"]
    assert lines[1].split() == ["EER", "5.98", "%", "17.88", "%", "(15.0–21.8)"]
    assert next(line for line in lines if line.startswith("accuracy")).split() == ["accuracy", "0.9400", "–"]
    attacks = [line.split()[0] for line in lines if re.match(r"(A_|seen|unseen)", line)]
    assert attacks == ["seen", "unseen", "A_hard", "A_easy"]
    assert next(line for line in lines if line.startswith("A_hard")).endswith("few trials")
    assert next(line for line in lines if line.startswith("unseen")).endswith("19.80 %")


def test_the_page_is_well_formed_and_refers_to_nothing_outside():
    page = Page(report.html(SUMMARY, FIGURES, CLIPS))
    assert page.open == []
    assert "script" not in page.tags
    assert page.tags.count("img") == len(FIGURES) + len(CLIPS)
    links = [reference for reference in page.references if not reference.startswith("data:")]
    assert links == ["file:///data/a%20b.wav"] * 2
    style = markup.STYLE.read_text()
    assert "url(" not in style
    assert "@import" not in style


def test_the_sections_come_in_the_order_of_a_readers_questions():
    titles = re.findall(r"<h2>(.+?)</h2>", report.html(SUMMARY, FIGURES, CLIPS))
    assert titles == [
        *("Trained on", "Results", "Seen and unseen attacks", "Attacks", "Conditions", "Robustness"),
        *("Shortcut audit", "Single clips", "Calibration and thresholds", "Figures", "Environment", "Command"),
    ]


def test_every_part_says_its_numbers():
    page = Page(report.html(SUMMARY, FIGURES, CLIPS))
    for row in (
        ["Cllr", "–", "0.5000 (0.450–0.560)", wording.METRICS["cllr"][1]],
        ["eval, all attacks", "4,300", "17.9 %", "25.0 %", "7.1 (5.0 to 9.0)", "300 : 100", "< 0.0001"],
        ["eval, unseen attacks", "2,000", "26.0 %", "25.0 %", "−1.0", "10 : 12", "0.8318"],
        ["R02", "300", "1,200", "35.00 % (17.5–70.0)", "against all bonafide, few trials"],
        ["S7", "300", "1,200", "10.00 % (5.0–20.0)", ""],
        ["babble", "10 dB", "30.00 % (29.0–31.0)", "4,300"],
        ["A_hard", "0.81 (0.76–0.86)", "0.81 (0.76–0.86)", "40"],
        ["Cllr, eval", "1.2500", "0.5000 (0.450–0.560)"],
        ["eer", "−0.26", "0.5", "5.9 % / 6.1 %", "–", "20.0 % / 15.0 %"],
        ["prior=0.5,miss=1,false_alarm=1", "0.00", "0.5", "–", "–", "–"],
    ):
        assert row in page.rows, row[0]
    assert [row[0] for row in page.rows].index("R02") < [row[0] for row in page.rows].index("R01"), "hardest first"
    source = report.html(SUMMARY, FIGURES, CLIPS)
    assert source.count('class="number strong"') == 2
    assert "it gains 7.1 percentage points (95 % interval of the gain 5.0 to 9.0)" in page.text
    assert page.references.count(f"data:audio/flac;base64,{base64.b64encode(b'fLaC wrong').decode()}") == 1


def test_what_was_not_asked_for_is_left_out_or_said_to_be():
    summary = {name: value for name, value in SUMMARY.items() if name not in ("against", "robustness")}
    summary |= {"clips": [], "shortcuts": {"findings": [], "warnings": []}}
    page = Page(report.html(summary, {}))
    assert "--robustness true" in page.text
    assert "Not possible" in page.text
    assert "File format is not audited" in Page(report.html(SUMMARY, FIGURES, CLIPS)).text
    assert "Single clips" not in page.text
    assert "Against" not in page.text + plain_text.text(summary) + model_card.markdown(summary)
    assert "at worst babble 5 dB 40.0 %" in model_card.markdown(SUMMARY)


def test_of_many_values_the_hardest_are_shown_and_the_rest_is_said_to_be_elsewhere():
    summary = copy.deepcopy(SUMMARY)
    summary["results"]["eval"]["groups"] += [group("speaker", f"N{i}", (i + 20) / 100) for i in range(60)]
    page = Page(report.html(summary, {}, CLIPS))
    shown = [row[0] for row in page.rows if row[0].startswith("N")]
    assert (shown[0], len(shown)) == ("N59", 50)
    assert "The hardest 50 of 61" in page.text
    assert "none of it among MLflow's metrics" in page.text


def test_the_page_says_what_the_text_says():
    page = Page(report.html(SUMMARY, FIGURES, CLIPS))
    assert ["EER", "5.98 %", "17.88 % (15.0–21.8)", wording.METRICS["eer"][1]] in page.rows
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
    page = Page(report.html(summary, {}, CLIPS))
    assert "script" not in page.tags
    assert "<script>alert(1)</script>" in [row[0] for row in page.rows]
    assert "python <b> & c" in page.text
    assert "\\<script\\>" in model_card.markdown(summary)


def test_the_model_card_has_the_usual_headings_and_the_same_numbers():
    card = model_card.markdown(SUMMARY)
    headings = re.findall(r"^## (.+)$", card, re.MULTILINE)
    assert headings == ["Intended use", "Limits", "Data", "Metrics", "Ethics", "Licence", "Made by"]
    assert card.startswith("# demo-0123456789ab\n")
    assert "| EER | 5.98 % | 17.88 % (15.0–21.8) |" in card
    assert "- eval, A\\_hard: EER 30.00 % (15.0–60.0), 1,200 spoof trials (few trials)" in card
    assert "    python -m pipeline.main --preset demo" in card


@pytest.mark.parametrize(
    "render", [plain_text.text, model_card.markdown, lambda s: Page(report.html(s, {}, CLIPS)).text]
)
def test_what_makes_figures_doubtful_is_said_everywhere(render):
    assert "these figures leak" in render(changed(split_by="stratified"))
    assert "nothing about real speech" in render(changed(name="synthetic"))
    one_class = changed()
    one_class["results"]["eval"] |= {"metrics": {"loss": 0.5}, "note": "one class only: spoof", "groups": []}
    one_class["results"]["eval"]["uncalibrated"] = {}
    assert "Shortcut: duration tells the classes apart." in render(SUMMARY)
    assert "eval: one class only: spoof." in render(one_class)
    assert "leak" not in render(SUMMARY)


def test_another_store_than_the_training_one_is_said_to_be():
    text = Page(report.html(changed(of_training=False, folder="other-0"), {}, CLIPS)).text
    assert "trained on the corpus demo. The figures here are of another Store, other-0" in text


def test_without_complete_figures_there_is_no_headline():
    summary = changed()
    nothing = {"metrics": {"loss": 0.5}, "note": "one class only: spoof", "groups": [], "uncalibrated": {}}
    summary["results"] = {"eval": nothing}
    assert 'class="headline"' not in report.html(summary, {}, CLIPS)


@pytest.mark.parametrize(
    ("threshold", "shown"), [(1.234, "+1.23"), (-0.001, "0.00"), (0.0, "0.00"), (-10.0, "−10.00"), (10.0, "+10.00")]
)
def test_thresholds_are_shown_with_their_sign(threshold, shown):
    summary = changed()
    summary["model"]["threshold"] = threshold
    assert f"score {shown}, chosen" in plain_text.text(summary)
