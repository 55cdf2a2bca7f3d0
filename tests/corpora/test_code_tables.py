"""Every emotion code, speaker and sex of every corpus, as its authors publish them: a row a code."""

import pytest
from corpus_trees import MakeTree

from siamese_jax.corpora import adapters

EMOTIONS = {
    # Livingstone & Russo 2018, table 2: the third number.
    "ravdess": """
        03-01-01-01-01-01-01 neutral
        03-01-02-01-01-01-01 calm
        03-01-03-01-01-01-01 happiness
        03-01-04-01-01-01-01 sadness
        03-01-05-01-01-01-01 anger
        03-01-06-01-01-01-01 fear
        03-01-07-01-01-01-01 disgust
        03-01-08-01-01-01-01 surprise
    """,
    # Cao et al. 2014, the repository's README.
    "cremad": """
        1001_DFA_ANG_XX anger
        1001_DFA_DIS_XX disgust
        1001_DFA_FEA_XX fear
        1001_DFA_HAP_XX happiness
        1001_DFA_NEU_XX neutral
        1001_DFA_SAD_XX sadness
    """,
    # Martin et al. 2006: the folders' words beside the codes.
    "enterface05": """
        s1_an_1 anger
        s1_di_1 disgust
        s1_fe_1 fear
        s1_ha_1 happiness
        s1_sa_1 sadness
        s1_su_1 surprise
    """,
    # Burkhardt et al. 2005: initials of Wut, Langeweile, Ekel, Angst, Freude, Trauer, neutral.
    "emodb": """
        03a01Wa anger
        03a01La boredom
        03a01Ea disgust
        03a01Aa fear
        03a01Fa happiness
        03a01Ta sadness
        03a01Na neutral
    """,
    # Haq & Jackson 2009.
    "savee": """
        DC_a01 anger
        DC_d01 disgust
        DC_f01 fear
        DC_h01 happiness
        DC_n01 neutral
        DC_sa01 sadness
        DC_su01 surprise
    """,
    # Costantini et al. 2014: rabbia, gioia, tristezza, paura, disgusto, sorpresa, neutro.
    "emovo": """
        rab-f1-b1 anger
        gio-f1-b1 happiness
        tri-f1-b1 sadness
        pau-f1-b1 fear
        dis-f1-b1 disgust
        sor-f1-b1 surprise
        neu-f1-b1 neutral
    """,
    # Christop 2024; the table says surprised, some file names say surprise.
    "nemo": """
        SM0_anger_1 anger
        SM0_fear_1 fear
        SM0_happiness_1 happiness
        SM0_neutral_1 neutral
        SM0_sadness_1 sadness
        SM0_surprised_1 surprise
        SM0_surprise_1 surprise
    """,
    # Pichora-Fuller & Dupuis 2020: ps is pleasant surprise.
    "tess": """
        OAF_back_angry anger
        OAF_back_disgust disgust
        OAF_back_fear fear
        OAF_back_happy happiness
        OAF_back_neutral neutral
        OAF_back_ps surprise
        OAF_back_sad sadness
    """,
    "casia": """
        wangzhe_angry_201 anger
        wangzhe_fear_201 fear
        wangzhe_happy_201 happiness
        wangzhe_neutral_201 neutral
        wangzhe_normal_201 neutral
        wangzhe_sad_201 sadness
        wangzhe_surprise_201 surprise
    """,
}

SPEAKERS = {
    # Actors with odd numbers are male.
    "ravdess": {f"03-01-01-01-01-01-{i:02d}": (f"ravdess_{i:02d}", ("female", "male")[i % 2]) for i in range(1, 25)},
    # The sex is in VideoDemographics.csv.
    "cremad": {f"{i}_DFA_ANG_XX": (f"cremad_{i}", "") for i in range(1001, 1092)},
    "enterface05": {f"s{i}_an_1": (f"enterface05_{i:02d}", "") for i in range(1, 45)},
    "emodb": {
        f"{i}a01Wa": (f"emodb_{i}", sex)
        for i, sex in {
            "03": "male", "08": "female", "09": "female", "10": "male", "11": "male", "12": "male", "13": "female",
            "14": "female", "15": "male", "16": "female",
        }.items()
    },
    "savee": {f"{i}_a01": (f"savee_{i}", "male") for i in ("DC", "JE", "JK", "KL")},
    "emovo": {
        f"rab-{i}-b1": (f"emovo_{i}", "female" if i[0] == "f" else "male") for i in ("f1", "f2", "f3", "m1", "m2", "m3")
    },
    # The sex is in data.tsv.
    "nemo": {f"{i}_anger_1": (f"nemo_{i}", "") for i in ("JG1", "KS1", "MF1", "SM0")},
    "tess": {"OAF_back_ps": ("tess_OAF", "female"), "YAF_back_ps": ("tess_YAF", "female")},
    "casia": {
        f"{i}_angry_201": (f"casia_{i.lower()}", "")
        for i in ("liuchanhg", "wangzhe", "zhaoquanyin", "ZhaoZuoxiang")
    },
}  # fmt: skip

IEMOCAP = {
    "neu": "neutral", "ang": "anger", "sad": "sadness", "hap": "happiness", "fea": "fear", "dis": "disgust",
    "sur": "surprise",
}  # fmt: skip
IEMOCAP_LEFT_OUT = {
    "exc": "excitement", "fru": "frustration", "oth": "another emotion", "xxx": "raters do not agree",
}  # fmt: skip


def test_every_adapter_has_a_table():
    assert set(EMOTIONS) == set(SPEAKERS) == set(adapters.CORPORA) - {"iemocap"}


@pytest.mark.parametrize("corpus", EMOTIONS)
def test_every_emotion_code(corpus):
    parse = adapters.name_parser(corpus)
    rows = dict(line.split() for line in EMOTIONS[corpus].split("\n") if line.strip())
    assert {name: parse(name).emotion for name in rows} == rows


@pytest.mark.parametrize("corpus", SPEAKERS)
def test_every_speaker_and_sex(corpus):
    parse = adapters.name_parser(corpus)
    labels = {name: parse(name) for name in SPEAKERS[corpus]}
    assert {name: (label.speaker, label.sex) for name, label in labels.items()} == SPEAKERS[corpus]
    assert len({label.speaker for label in labels.values()}) == len(labels)


@pytest.mark.parametrize(
    ("corpus", "name"),
    [
        ("ravdess", "03-01-09-01-01-01-01"), ("ravdess", "03-01-01-01-01-01-25"), ("ravdess", "03-02-01-01-01-01-01"),
        ("cremad", "1001_DFA_SUR_XX"), ("cremad", "1092_DFA_ANG_XX"), ("enterface05", "s1_ne_1"),
        ("emodb", "03a01Xa"), ("emodb", "04a01Wa"), ("savee", "XX_a01"), ("savee", "DC_b01"), ("emovo", "rab-f4-b1"),
        ("emovo", "abc-f1-b1"), ("nemo", "SM0_disgust_1"), ("tess", "MAF_back_sad"), ("tess", "OAF_back_calm"),
        ("casia", "wangzhe_disgust_201"), ("casia", "nobody_angry_201"),
    ],
)  # fmt: skip
def test_other_codes_are_of_no_clip(corpus, name):
    assert adapters.name_parser(corpus)(name) is None


def test_every_code_session_and_sex_of_iemocap(make_tree: MakeTree) -> None:
    codes, turns = [*IEMOCAP, *IEMOCAP_LEFT_OUT], {}
    for session in range(1, 6):
        for sex in "FM":
            # The letter after Ses is of the actor with the markers, here always the other one.
            dialog = f"Ses0{session}{'MF'[sex == 'M']}_impro01"
            turns[session, sex] = {f"{dialog}_{sex}{i:03d}": code for i, code in enumerate(codes)}
    root = make_tree(
        f"Session{session}/sentences/wav/{turn.rsplit('_', 1)[0]}/{turn}.wav"
        for (session, _), rows in turns.items()
        for turn in rows
    )
    for (session, _), rows in turns.items():
        folder = root / f"Session{session}/dialog/EmoEvaluation"
        folder.mkdir(parents=True, exist_ok=True)
        text = "".join(f"[1.0 - 2.0]\t{turn}\t{code}\t[2.5, 2.5, 2.5]\n" for turn, code in rows.items())
        (folder / f"{next(iter(rows)).rsplit('_', 1)[0]}.txt").write_text(text)
    manifest = adapters.scan("iemocap", root)
    expected = {
        turn: (IEMOCAP[code], f"iemocap_{session}{sex}", {"F": "female", "M": "male"}[sex])
        for (session, sex), rows in turns.items()
        for turn, code in rows.items()
        if code in IEMOCAP
    }
    assert {clip.name: (clip.emotion, clip.speaker, clip.sex) for clip in manifest} == expected
    assert {(file.rsplit("/", 1)[1][:-4], reason) for file, reason in manifest.left_out} == {
        (turn, IEMOCAP_LEFT_OUT[code])
        for rows in turns.values()
        for turn, code in rows.items()
        if code in IEMOCAP_LEFT_OUT
    }
