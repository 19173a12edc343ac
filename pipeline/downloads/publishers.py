"""Publishers of the field's corpora and of speech encoders: licence, page, and the files that anyone may download.

Sizes and checksums are those that the publishers state; Zenodo's and the Hub's are read at each download. ``by_hand``
names what a program cannot download.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class File:
    """A file to download; size and checksum (``md5:…``, ``sha256:…`` or ``git:…``) if its publisher states them."""

    name: str
    url: str
    size_bytes: int | None = None
    checksum: str = ""


@dataclass(frozen=True)
class Publisher:
    """Source of a corpus or an encoder.

    ``files`` have fixed addresses, ``records`` are numbers on Zenodo, ``repository`` is the name of an encoder's on the
    Hugging Face Hub, for the ``backbone`` of that name; ``by_hand`` is left to do.
    """

    licence: str
    page: str
    size: str = ""
    files: tuple[File, ...] = ()
    records: tuple[str, ...] = ()
    repository: str = ""
    backbone: str = ""
    by_hand: str = ""

    @property
    def reachable(self) -> bool:
        """Whether a program can download some of it."""
        return bool(self.files or self.records or self.repository)


DATASHARE = "https://datashare.ed.ac.uk/server/api/core/bitstreams"
ODC_BY = "ODC-By 1.0, https://opendatacommons.org/licenses/by/1.0/"


def _asvspoof2021(track: str, record: str, md5: str, size: str = "") -> Publisher:
    keys = f"{track}-keys-full.tar.gz"
    return Publisher(
        licence=ODC_BY,
        page=f"https://zenodo.org/records/{record}",
        size=size,
        files=(File(keys, f"https://www.asvspoof.org/asvspoof2021/{keys}", None, f"md5:{md5}"),),
        records=(record,),
    )


CORPORA = {
    "asvspoof2017": Publisher(
        licence="CC BY-NC 4.0, https://creativecommons.org/licenses/by-nc/4.0/",
        page="https://datashare.ed.ac.uk/handle/10283/3055",
        size="1.4 GB",
        files=(
            File("protocol_V2.zip", f"{DATASHARE}/dbf267c4-517e-4193-9cdf-c8eadc82ec78/content"),
            File("ASVspoof2017_V2_train.zip", f"{DATASHARE}/4c7e2262-fe78-497e-839f-0ceabbbf2d1e/content"),
            File("ASVspoof2017_V2_dev.zip", f"{DATASHARE}/4daef0d3-f9e8-49e4-9ffc-a7362842a8f2/content"),
            File("ASVspoof2017_V2_eval.zip", f"{DATASHARE}/77c52086-76ed-4517-a72a-cc94e54a2c0a/content"),
        ),
    ),
    "asvspoof2019_la": Publisher(
        licence=ODC_BY,
        page="https://datashare.ed.ac.uk/handle/10283/3336",
        size="7.6 GB",
        files=(
            File(
                "LA.zip",
                f"{DATASHARE}/a9f87c35-f055-4015-80e2-2fdff0d46269/content",
                7_640_952_520,
                "md5:30c98f11d8b2bc21f2c257bfd78bb5c5",
            ),
        ),
    ),
    "partialspoof": Publisher(
        licence="see its page",
        page="https://zenodo.org/records/5766198",
        by_hand="download database_{train,dev,eval,protocols,segment_labels_v1.2}.tar.gz from the page in a browser, "
        "and unpack them into one folder",
    ),
    "asvspoof2019_pa": Publisher(
        licence=ODC_BY,
        page="https://datashare.ed.ac.uk/handle/10283/3336",
        size="16.4 GB",
        by_hand="download PA.zip from the page in a browser, and unpack it",
    ),
    "asvspoof2021_la": _asvspoof2021("LA", "4837263", "037592a0515971bbd0fa3bff2bad4abc", "7.8 GB"),
    "asvspoof2021_df": _asvspoof2021("DF", "4835108", "dabbc5628de4fcef53036c99ac7ab93a", "34.5 GB"),
    "asvspoof2021_pa": _asvspoof2021("PA", "4834716", "a639ea472cf4fb564a62fbc7383c24cf"),
    "asvspoof5": Publisher(
        licence=f"{ODC_BY}; its bonafide recordings CC BY 4.0",
        page="https://zenodo.org/records/14498691",
        size="142.3 GB",
        records=("14498691",),
    ),
    "add2023": Publisher(
        licence="see its page",
        page="https://zenodo.org/records/12176326",
        records=("12176326",),
    ),
    "codecfake": Publisher(
        licence="CC BY-NC-ND 4.0, https://creativecommons.org/licenses/by-nc-nd/4.0/",
        page="https://github.com/xieyuankun/Codecfake",
        by_hand="download the archives that the page lists, some of them in parts, and unpack them",
    ),
    "deepfake_eval_2024": Publisher(
        licence="CC BY-SA 4.0, https://creativecommons.org/licenses/by-sa/4.0/",
        page="https://huggingface.co/datasets/nuriachandra/Deepfake-Eval-2024",
        by_hand="ask for access on the page, and download audio-data/ and its table",
    ),
    "dfadd": Publisher(
        licence="see its page; VCTK: CC BY 4.0",
        page="https://huggingface.co/datasets/isjwdu/DFADD",
        by_hand="download the zip archives of the page, and unpack them",
    ),
    "fake_or_real": Publisher(
        licence="see its page",
        page="https://bil.eecs.yorku.ca/datasets/",
        files=(File("for-norm.tar.gz", "https://bil.eecs.yorku.ca/share/for-norm.tar.gz"),),
    ),
    "in_the_wild": Publisher(
        licence="CC BY-SA 4.0, https://creativecommons.org/licenses/by-sa/4.0/",
        page="https://huggingface.co/datasets/mueller91/In-The-Wild",
        size="8.2 GB",
        files=(
            File(
                "release_in_the_wild.zip",
                "https://huggingface.co/datasets/mueller91/In-The-Wild/resolve/main/release_in_the_wild.zip",
            ),
        ),
    ),
    "librisevoc": Publisher(
        licence="see its page",
        page="https://zenodo.org/records/15127251",
        records=("15127251",),
    ),
    "mlaad": Publisher(
        licence="CC BY-NC 4.0, https://creativecommons.org/licenses/by-nc/4.0/",
        page="https://huggingface.co/datasets/mueller91/MLAAD",
        by_hand="clone the page's repository with git-lfs; unpack M-AILABS beside fake/ for bonafide speech",
    ),
    "odss": Publisher(
        licence="see its page",
        page="https://zenodo.org/records/8370668",
        records=("8370668",),
    ),
    "replaydf": Publisher(
        licence="non-commercial research, see its page",
        page="https://huggingface.co/datasets/mueller91/ReplayDF",
        by_hand="clone the page's repository with git-lfs",
    ),
    "spoofceleb": Publisher(
        licence="CC BY 4.0, https://creativecommons.org/licenses/by/4.0/",
        page="https://huggingface.co/datasets/jungjee/spoofceleb",
        by_hand="download the archives of the page, and unpack them",
    ),
    "wavefake": Publisher(
        licence="CC BY-SA 4.0, https://creativecommons.org/licenses/by-sa/4.0/; LJ Speech: public domain",
        page="https://zenodo.org/records/5642694",
        size="31.6 GB",
        files=(
            File(
                "LJSpeech-1.1.tar.bz2",
                "https://data.keithito.com/data/speech/LJSpeech-1.1.tar.bz2",
                2_748_572_632,
                "sha256:be1a30453f28eb8dd26af4101ae40cbf2c50413b1bb21936cbcdc6fae3de8aa5",
            ),
        ),
        records=("5642694",),
        by_hand="the Japanese bonafide recordings, JSUT 1.1, come from their own publisher: unpack jsut_ver1.1/ there",
    ),
}
"""Publisher of each corpus."""


def _encoder(backbone: str, repository: str, size: str, licence: str = "Apache 2.0") -> Publisher:
    page = f"https://huggingface.co/{repository}"
    return Publisher(licence=licence, page=page, size=size, repository=repository, backbone=backbone)


ENCODERS = {
    "whisper-tiny": _encoder("whisper", "openai/whisper-tiny", "0.2 GB"),
    "whisper-base": _encoder("whisper", "openai/whisper-base", "0.3 GB"),
    "whisper-small": _encoder("whisper", "openai/whisper-small", "1.0 GB"),
    "whisper-medium": _encoder("whisper", "openai/whisper-medium", "3.1 GB"),
    "whisper-large-v3": _encoder("whisper", "openai/whisper-large-v3", "3.1 GB"),
    "wav2vec2-base": _encoder("wav2vec2", "facebook/wav2vec2-base", "0.4 GB"),
    "xls-r-300m": _encoder("wav2vec2", "facebook/wav2vec2-xls-r-300m", "1.3 GB"),
    "hubert-base": _encoder("wav2vec2", "facebook/hubert-base-ls960", "0.4 GB"),
    "wavlm-base-plus": _encoder(
        "wav2vec2",
        "microsoft/wavlm-base-plus",
        "0.4 GB",
        "CC BY-SA 3.0, https://github.com/microsoft/UniSpeech/blob/main/LICENSE",
    ),
}
"""Publisher of each speech encoder; sizes follow from the number of parameters."""
