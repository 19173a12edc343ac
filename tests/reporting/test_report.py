"""Report, model card and printed tables: three renderings of one summary, with the same numbers."""

import base64
import copy
import re
from html.parser import HTMLParser

import pytest
from pydantic import TypeAdapter

from pipeline.reporting import pages, plain_text, report, wording
from pipeline.reporting.evaluation_summary import EvaluationSummary

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c636060606000000005000157bfabd40000000049454e44ae426082"
)
FIGURES = dict.fromkeys(
    [
        *("training_curves", "dev/roc", "eval/roc", "eval/det", "eval/scores", "eval/attacks", "eval/reliability"),
        *("examples/spoof", "robustness", "eval/against"),
    ],
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
        "attack_name": "",
        **values,
    }


VALUES = {
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
        "bounds": [-4.41, 4.58],
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
                group("attack", "A_hard", 0.3, seen=False, note="few trials", attack_name="Griffin-Lim"),
                group("pool", "seen", 0.157),
                group("pool", "unseen", 0.198, seen=False, eer_low=None, eer_high=None),
                group("condition", "R01", 0.25, condition="recorder", against="bonafide"),
                group("condition", "R02", 0.35, condition="recorder", against="bonafide", note="few trials"),
                group("speaker", "S7", 0.1),
            ],
        },
    },
    "main": "eval",
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
    "shortcuts": [
        {"kind": kind, "name": name, "auc": auc, "low": auc - 0.05, "high": auc + 0.05, "spoof_trials": 40}
        for kind in ("duration", "all together")
        for name, auc in (("all", 0.55), ("A_hard", 0.81))
    ],
    "shortcut_warnings": ["Shortcut: the classes differ in duration."],
    "rival": {
        "version": "notebook-1",
        "operating_point": "eer",
        "results": {},
        "differences": {
            "eval": {
                "all attacks": {
                    **{"trials": 4300, "own_eer": 0.1788, "rival_eer": 0.25, "difference": 0.0712},
                    **{"low": 0.05, "high": 0.09, "own_right": 300, "rival_right": 100, "p": 1e-9},
                },
                "unseen attacks": {
                    **{"trials": 2000, "own_eer": 0.26, "rival_eer": 0.25, "difference": -0.01},
                    **{"low": None, "high": None, "own_right": 10, "rival_right": 12, "p": 0.8318},
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

ONE_CLASS = {"metrics": {"loss": 0.5}, "note": "one class only: spoof", "groups": [], "uncalibrated": {}}


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


def summary(**changes) -> EvaluationSummary:
    """Summary with the values of some fields replaced."""
    return TypeAdapter(EvaluationSummary).validate_python(copy.deepcopy(VALUES) | changes)


def of_store(**values) -> EvaluationSummary:
    return summary(store=VALUES["store"] | values)


SUMMARY = summary()


def test_a_summary_reads_what_it_wrote(tmp_path):
    SUMMARY.write(tmp_path)
    assert EvaluationSummary.read(tmp_path) == SUMMARY
    (tmp_path / "evaluation.json").write_text('{"model": {}}')
    with pytest.raises(ValueError, match=r"model\.version"):
        EvaluationSummary.read(tmp_path)


def test_text_puts_subsets_side_by_side_and_the_hardest_attack_first():
    lines = plain_text.text(SUMMARY).splitlines()
    assert lines[0].split() == ["dev", "eval"]
    assert lines[1].split() == ["EER", "5.98", "%", "17.88", "%", "(15.0–21.8)"]
    assert next(line for line in lines if line.startswith("accuracy")).split() == ["accuracy", "0.9400", "–"]
    attacks = [line.split()[0] for line in lines if re.match(r"(A_|seen|unseen)", line)]
    assert attacks == ["seen", "unseen", "A_hard", "A_easy"]
    hard = next(line for line in lines if line.startswith("A_hard (Griffin-Lim)"))
    assert hard.endswith("few trials")
    assert next(line for line in lines if line.startswith("unseen")).endswith("19.80 %")


def test_the_page_is_well_formed_and_refers_to_nothing_outside():
    page = Page(report.html(SUMMARY, FIGURES, CLIPS))
    assert page.open == []
    assert "script" not in page.tags
    assert page.tags.count("img") == len(FIGURES) + len(CLIPS)
    links = [reference for reference in page.references if not reference.startswith("data:")]
    assert links == ["file:///data/a%20b.wav"] * 2
    style = (pages.TEMPLATES / "page.css").read_text()
    assert "url(" not in style
    assert "@import" not in style


def test_the_sections_come_in_the_order_of_a_readers_questions():
    titles = re.findall(r"<h2>(.+?)</h2>", report.html(SUMMARY, FIGURES, CLIPS))
    assert titles == [
        *("Trained on", "Results", "Seen and unseen attacks", "Attacks", "Conditions", "Robustness"),
        *("Shortcut audit", "Single clips", "Calibration and thresholds", "Figures", "Environment", "Command"),
    ]


def test_roc_det_and_scores_follow_the_headline():
    page = report.html(SUMMARY, FIGURES, CLIPS)
    names = re.findall(r'<img alt="(.+?)"', page)
    assert names[:3] == ["eval/roc", "eval/det", "eval/scores"]
    assert len(names) == len(set(names)), "no figure twice"
    assert page.index('alt="eval/scores"') < page.index("<h2>")


def test_every_part_says_its_numbers():
    page = Page(report.html(SUMMARY, FIGURES, CLIPS))
    for row in (
        ["Cllr", "–", "0.5000 (0.450–0.560)", wording.METRICS["cllr"][1]],
        ["eval, all attacks", "4,300", "17.9 %", "25.0 %", "7.1 (5.0 to 9.0)", "300 : 100", "< 0.0001"],
        ["eval, unseen attacks", "2,000", "26.0 %", "25.0 %", "−1.0", "10 : 12", "0.8318"],
        ["R02", "300", "1,200", "35.00 % (17.5–70.0)", "against all bonafide, few trials"],
        ["S7", "300", "1,200", "10.00 % (5.0–20.0)", ""],
        ["babble", "10 dB", "30.00 % (29.0–31.0)", "4,300"],
        ["A_hard (Griffin-Lim)", "0.81 (0.76–0.86)", "0.81 (0.76–0.86)", "40"],
        ["Cllr, eval", "1.2500", "0.5000 (0.450–0.560)"],
        ["eer", "−0.26", "0.5", "5.9 % / 6.1 %", "–", "20.0 % / 15.0 %"],
        ["prior=0.5,miss=1,false_alarm=1", "0.00", "0.5", "–", "–", "–"],
    ):
        assert row in page.rows, row[0]
    assert [row[0] for row in page.rows].index("R02") < [row[0] for row in page.rows].index("R01"), "hardest first"
    source = report.html(SUMMARY, FIGURES, CLIPS)
    assert source.count('class="strong"') == 2
    assert "it gains 7.1 percentage points (95 % interval of the gain 5.0 to 9.0)" in page.text
    assert "fitted on dev and bounded to −4.41 to +4.58." in page.text
    assert page.references.count(f"data:audio/flac;base64,{base64.b64encode(b'fLaC wrong').decode()}") == 1


def test_what_was_not_asked_for_is_left_out_or_said_to_be():
    bare = summary(rival=None, robustness=[], clips=[], shortcuts=[], shortcut_warnings=[])
    page = Page(report.html(bare, {}))
    assert "--robustness true" in page.text
    assert "Not possible" in page.text
    assert "File format is not audited" in Page(report.html(SUMMARY, FIGURES, CLIPS)).text
    assert "Single clips" not in page.text
    assert "Against" not in page.text + plain_text.text(bare) + report.markdown(bare)
    assert "at worst babble 5 dB 40.0 %" in report.markdown(SUMMARY)


def with_groups(*groups, **changes) -> EvaluationSummary:
    """Summary with more groups on eval."""
    results = copy.deepcopy(VALUES["results"])
    results["eval"]["groups"] += groups
    return summary(results=results, **changes)


def test_of_many_values_the_hardest_are_shown_and_the_rest_is_said_to_be_elsewhere():
    speakers = [group("speaker", f"N{i}", (i + 20) / 100) for i in range(60)]
    page = Page(report.html(with_groups(*speakers), {}, CLIPS))
    shown = [row[0] for row in page.rows if row[0].startswith("N")]
    assert (shown[0], len(shown)) == ("N59", 50)
    assert "The hardest 50 of 61" in page.text
    assert "none are logged to MLflow" in page.text


def test_the_page_says_what_the_text_says():
    page = Page(report.html(SUMMARY, FIGURES, CLIPS))
    assert ["EER", "5.98 %", "17.88 % (15.0–21.8)", wording.METRICS["eer"][1]] in page.rows
    assert ["A_hard (Griffin-Lim)", "no", "1,200", "8", "30.00 % (15.0–60.0)", "few trials"] in page.rows
    assert ["train", "300", "4,000", "20", "8", "1.25"] in page.rows
    assert ["keras", "3.15.1"] in page.rows
    assert ["backbone", "efficientnetb0"] in page.rows
    assert "python -m pipeline.main --preset demo\npython -m pipeline.evaluate" in page.text
    assert "score −0.26, chosen on dev, where it has 5.9 % misses and 6.1 % false alarms" in page.text


def test_names_cannot_become_markup():
    hostile = with_groups(
        group("attack", "<script>alert(1)</script>", 0.2),
        commands={"train": "python <b> & c"},
        model=VALUES["model"] | {"version": "a<b"},
    )
    page = Page(report.html(hostile, {}, CLIPS))
    assert "script" not in page.tags
    assert "<script>alert(1)</script>" in [row[0] for row in page.rows]
    assert "python <b> & c" in page.text
    assert "\\<script\\>" in report.markdown(hostile)


def test_the_model_card_has_the_usual_headings_and_the_same_numbers():
    card = report.markdown(SUMMARY)
    headings = re.findall(r"^## (.+)$", card, re.MULTILINE)
    assert headings == ["Intended use", "Limits", "Data", "Metrics", "Ethics", "Licence", "Made by"]
    assert card.startswith("# demo-0123456789ab\n")
    assert "| EER | 5.98 % | 17.88 % (15.0–21.8) |" in card
    assert "- eval, A\\_hard (Griffin-Lim): EER 30.00 % (15.0–60.0), 1,200 spoof trials (few trials)" in card
    assert "    python -m pipeline.main --preset demo" in card


@pytest.mark.parametrize("render", [plain_text.text, report.markdown, lambda s: Page(report.html(s, {}, CLIPS)).text])
def test_what_makes_figures_doubtful_is_said_everywhere(render):
    for split_by in ("stratified", "official+stratified", "one=official,other=stratified"):
        assert "their figures leak" in render(of_store(split_by=split_by))
    assert "nothing about real speech" in render(of_store(name="synthetic"))
    one_class = summary(results=VALUES["results"] | {"eval": ONE_CLASS})
    assert "Shortcut: the classes differ in duration." in render(SUMMARY)
    assert "eval: one class only: spoof." in render(one_class)
    assert "leak" not in render(SUMMARY)


def test_another_store_than_the_training_one_is_said_to_be():
    text = Page(report.html(of_store(of_training=False, folder="other-0"), {}, CLIPS)).text
    assert "trained on the corpus demo. The figures here are of another Store, other-0" in text


def test_without_complete_figures_there_is_no_headline():
    assert 'class="headline"' not in report.html(summary(results={"eval": ONE_CLASS}), {}, CLIPS)


@pytest.mark.parametrize(
    ("threshold", "shown"), [(1.234, "+1.23"), (-0.001, "0.00"), (0.0, "0.00"), (-10.0, "−10.00"), (10.0, "+10.00")]
)
def test_thresholds_are_shown_with_their_sign(threshold, shown):
    changed = summary(model=VALUES["model"] | {"threshold": threshold})
    assert f"score {shown}, chosen" in plain_text.text(changed)
