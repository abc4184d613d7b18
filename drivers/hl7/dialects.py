"""How makers depart from the standard: presets of the options, and by what such an instrument is recognised."""

from __future__ import annotations

from drivers.hl7.options import CONTROLS, SUPPLEMENTS, Hl7Options, Mark
from drivers.kit.declare import Evidence, Variant
from drivers.kit.dialects import preset, recogniser
from drivers.kit.observation import Status

INTELIS = "github.com/deforay/intelis-interfacing captures of {}"
BLOOD_COUNTS = (
    *SUPPLEMENTS,
    Mark(field="OBX-2", equals="IS"),
    Mark(field="OBX-3.1", pattern=r"^(0\d{4}|1[25]\d{3}|30525-0)$"),
    Mark(field="OBX", pattern=r"^OBX\|\d*\|ST\|\^[^|]*\^99MRC"),
)

VARIANTS = (
    Variant(
        name="cobas-4800",
        models=("Roche cobas 4800",),
        sign=r"(?i)\bcobas 4800\b",
        options={"qc": (Mark(field="INV-3", equals="CO"),), "sender": "cobas 4800 software"},
        evidence=Evidence.RECORDING,
        recordings=(INTELIS.format("cobas 4800"),),
        note="One message carries a whole run. SPM-11 is Q on patients' specimens too: a control is one whose "
        "container holds control material (INV-3 is CO).",
    ),
    Variant(
        name="cobas-6800",
        models=("Roche cobas 5800", "Roche cobas 6800", "Roche cobas 8800"),
        sign=r"(?i)COBAS ?(5|6|8)800|X800 ?DM|\bc(5|6|8)800\b",
        options={
            "no_value": ("ValueNotSet", "Titer", "NA"),
            "flag_calls": {"BT": "detected"},
            "name": (),
            "run": ("OBX-21",),
            "sender": "COBAS6800/8800",
        },
        evidence=Evidence.RECORDING,
        recordings=(INTELIS.format("cobas 6800"), "github.com/udsm-dhis2-lab/universal-machine-interfacing-adapter"),
        note="A titer is a number of three digits with a power of ten in its unit; a call stands in OBX-8 with "
        "`ValueNotSet` for a value (BT: detected, below the least titer); sub-IDs 1/1 and 1/2 are the test's overall "
        "result and its text.",
    ),
    Variant(
        name="alinity-m",
        models=("Abbott Alinity m",),
        sign=r"(?i)\bAlinity m\b",
        options={"specimen": ("SAC-3", "SPM-2.1"), "sender": "Alinity m"},
        evidence=Evidence.RECORDING,
        recordings=("github.com/deforay/vlsm-interfacing captures of Alinity m",),
        device={"thousands": ","},
        note="The specimen stands in SAC-3 only; a comma separates thousands; the unit is OBX-6's text.",
    ),
    Variant(
        name="cobas-pro",
        models=("Roche cobas pro", "Roche cobas pure"),
        sign=r"(?i)\bcobas.? pu?ro?e?\b",
        options={"sender": "cobas pro", "name": ()},
        note="IHE LAW; tests are application code numbers; a coded OBX behind the number is its call; raw signals and "
        "limits come as supplements (shapes published in client libraries' tests).",
    ),
    Variant(
        name="genexpert",
        models=("Cepheid GeneXpert Dx", "Cepheid GeneXpert Infinity"),
        sign=r"(?i)\^GeneXpert\b",
        options={
            "test": ("OBX-3.1.2", "OBR-4.1"),
            "value": ("OBX-5.2", "OBX-5.1"),
            "call": "OBX-5.1",
            "unit": ("OBX-6.1",),
            "operator": ("OBX-16.2", "OBX-16.1"),
            "time": ("TQ1-8", "OBX-14", "OBX-19", "MSH-7"),
            "lot": ("OBX-18[2]",),
            "lot_expiry": ("OBX-18[1]",),
            "supplements": (*SUPPLEMENTS, Mark(field="OBX-4.1.2", pattern=r".")),
            "shape": "ORU^R01",
            "sender": "SIM^GeneXpert^1.0",
        },
        note="OBX-3 is panel&test&name&version, OBX-5 call^number; OBX-4 names logarithms, Ct and end points, which "
        "stay with the result (Cepheid LIS interface, HL7 part, as published for OpenELIS).",
    ),
    Variant(
        name="zybio",
        models=("Zybio Q3", "Zybio Z3"),
        sign=r"(?i)^[^|]*\|Zybio\b",
        options={
            "specimen": ("OBR-2", "OBR-3"),
            "operator": ("OBR-16",),
            "supplements": BLOOD_COUNTS,
            "control_lot": ("OBR-3",),
            "control_expiry": ("OBR-6",),
            "shape": "ORU^R01",
            "sender": "Q3",
        },
        note="As Mindray's BC series, but a control's name stands in OBR-2, its lot in OBR-3 and that lot's expiry in "
        "OBR-6; OBX-4 of a control is its target and deviation (messages published by integrators).",
    ),
    Variant(
        name="mindray-bc",
        models=(
            "Mindray BC-5000",
            "Mindray BC-5150",
            "Mindray BC-5300",
            "Mindray BC-6800",
            "Mindray BC-20",
            "Dymind DF5x",
        ),
        sign=r"99MRC",
        options={
            "specimen": ("OBR-3", "OBR-2"),
            "supplements": BLOOD_COUNTS,
            "operator": ("OBX-16.1", "OBR-32"),
            "control_lot": ("PID-3.1",),
            "control_expiry": ("PID-7",),
            "shape": "ORU^R01",
            "sender": "BC-5300",
        },
        note="Results are numbers with LOINC or 99MRC codes; modes, ages, alarms and histograms are not results; "
        "QC is MSH-11 Q or order 00003 on, with the control's lot in PID-3 and its expiry in PID-7 (communication "
        "protocols of the BC series).",
    ),
    Variant(
        name="ichroma",
        models=("Boditech ichroma II", "Boditech AFIAS-6"),
        sign=r"(?i)\b(ichroma|afias)",
        options={
            "specimen": ("PID-2", "PID-3"),
            "patient": (),
            "test": ("OBX-3.1", "OBR-2"),
            "time": ("OBR-7", "MSH-7"),
            "lot": ("SPM-2",),
            "lot_expiry": ("SPM-19", "SPM-20", "SPM-18"),
            "flags": "",
            "status": {"R": Status.FINAL},
            "training": "keep",
            "checks": (Mark(field="OBX-3", equals="System Check"), Mark(field="OBR-2", equals="System Check")),
            "supplements": (*SUPPLEMENTS, Mark(field="OBX", pattern=r"^OBX\|\d*\|\w*\|\|")),
            "sender": "1",
        },
        note="OUL^R24; the identifier typed in stands in PID-2, the cartridge lot in SPM-2; every message is marked T; "
        "the same result in other units follows without a name (messages published by integrators).",
    ),
    Variant(
        name="finecare",
        models=("Wondfo Finecare FIA Meter Plus", "Wondfo Finecare II Plus"),
        sign=r"(?i)\bFineCare",
        options={
            "test": ("OBX-4",),
            "specimen": ("OBR-3",),
            "patient": ("PID-3",),
            "value": ("OBX-13", "OBX-5"),
            "time": ("OBX-14", "OBR-7"),
            "lot": ("OBR-2",),
            "shape": "ORU^R01",
            "sender": "FineCarePlus",
        },
        note="The test's name stands in OBX-4 and its first number in OBX-13; OBR-2 is the card's lot; status comes as "
        "ESU^U01 (messages published by integrators).",
    ),
    Variant(
        name="hemoscreen",
        models=("PixCell HemoScreen",),
        sign=r"(?i)\bHemoScreen\b",
        options={
            "specimen": ("PID-2", "PID-3"),
            "patient": (),
            "time": ("OBX-14", "OBR-7"),
            "shape": "ORU^R01",
            "sender": "HemoScreen",
        },
        note="The specimen stands in PID-2; OBR-4 says OBS for blood, LQC or PQC for controls; every message has the "
        "control ID 0 (the instrument's HL7 appendix as published by integrators).",
    ),
    Variant(
        name="pcd-01",
        models=(
            "SD BIOSENSOR STANDARD F200",
            "SD BIOSENSOR STANDARD F2400",
            "SD BIOSENSOR STANDARD F100",
            "BioNote Vcheck V200",
        ),
        sign=r"IHE PCD\b",
        options={
            "specimen": ("SPM-2.1", "SAC-3", "PID-3"),
            "time": ("OBX-14", "OBX-19", "OBR-7", "MSH-7"),
            "status": {"R": Status.FINAL},
            "supplements": (*SUPPLEMENTS, Mark(field="OBX-4", pattern=r"^\d+(\.\d+)*\.0$")),
            "noted": {"lot": r"\bLotNo=([^,;]*)"},
            "shape": "ORU^R01",
            "sender": "STANDARD F",
        },
        note="IHE PCD-01: OBX-4 counts device, channel and metric, and containment rows have no value; OBR-2 and OBR-3 "
        "name the message, so the identifier typed in stands in PID-3; the cassette's lot stands in a remark "
        "(Communication Guidance IHE PCD-01 DEC; messages published by integrators).",
    ),
    Variant(
        name="maglumi",
        models=("Snibe Maglumi 800", "Snibe Maglumi X3", "Snibe Maglumi X8"),
        sign=r"(?i)\bMaglumi\b",
        options={"specimen": ("SPM-2.1", "OBR-2"), "shape": "ORU^R01", "sender": "P1^Maglumi"},
        note="ORU^R01 with SPM before OBR; OBX names no type and ends its value with ^; messages ask for no answer "
        "(shapes of the maker's HL7 library as published by integrators).",
    ),
    Variant(
        name="biosystems",
        models=("BioSystems BA400", "BioSystems BA200"),
        sign=r"(?i)\bBioSystems\b",
        options={"sender": "BA400"},
        note="IHE LAW; OBX-8 carries numbers of remarks; controls have SPM-11 Q and INV-3 CO (technical note TN0001).",
    ),
    Variant(
        name="autolumo",
        models=("Autobio AutoLumo A1000", "Autobio AutoLumo A2000 Plus"),
        sign=r"(?i)^A\d{4}[^|]*\|Autolumo\b",
        options={
            "test": ("OBX-4", "OBX-3.1"),
            "name": ("OBX-3.2", "OBX-4"),
            "specimen": ("OBR-2",),
            "value": ("OBX-5.2",),
            "shape": "ORU^R01",
            "sender": "A2000",
        },
        device={"time_format": "ymd"},
        note="OBX-5 is the signal and the concentration; OBR-2 is the tube, OBR-3 a number of the analyser's own; some "
        "leave MSH-3 and MSH-4 empty and have to be declared (messages published by integrators).",
    ),
    Variant(
        name="edan-i15",
        models=("Edan i15",),
        sign=r"(?i)^EDAN\|",
        options={"test": ("OBX-4",), "specimen": ("OBR-3",), "shape": "ORU^R01", "sender": "EDAN"},
        note="The test's name stands in OBX-4, OBX-3 is 0 (a message published by integrators).",
    ),
    Variant(
        name="cobas-liat",
        models=("Roche cobas Liat",),
        sign=r"(?i)^cobas liat\|",
        options={
            "supplements": (*SUPPLEMENTS, Mark(field="OBX-6", equals="0")),
            "noted": {
                "lot": r"\bTubeLot=([^;]*)",
                "lot_expiry": r"\bTubeExp=([^;]*)",
                "run": r"\bRun=([^;]*)",
            },
            "shape": "ORU^R01",
            "sender": "cobas Liat",
        },
        note="ORU^R30, answered with ACK^R33; run, tube lot and its expiry stand in a remark on the order (Host "
        "Interface Manual HL7, its front pages; a message published in a study of interfaces).",
    ),
    Variant(
        name="genrui",
        models=("Genrui KT-6610", "Genrui KT-60"),
        sign=r"(?i)\bGenrui",
        options={
            "specimen": ("OBR-3", "OBR-2", "PID-3"),
            "supplements": BLOOD_COUNTS,
            "shape": "ORU^R01",
            "sender": "Genrui",
        },
        note="The parameter's name stands in OBX-3's second component; where the order has no number, PID-3 is the "
        "only one typed in; OBX-13 says whether a value was edited (the maker's protocol as published by integrators).",
    ),
    Variant(
        name="edan-hematology",
        models=("EDAN H30 Pro", "EDAN H60", "EDAN H90", "EDAN H99S"),
        sign=r"(?i)\bEDANLAB\b",
        options={
            "test": ("OBX-4", "OBX-3.1"),
            "specimen": ("OBR-20", "OBR-2"),
            "patient": ("PID-2",),
            "flag_codes": {"0": "", "1": "H", "2": "L"},
            "status": {"0": Status.FINAL},
            "qc": (*CONTROLS, Mark(field="OBR-15.3", pattern=r"(?i)\bblank\b")),
            "shape": "ORU^R01",
            "sender": "H60",
        },
        note="The parameter's name stands in OBX-4 (OBX-3 is 0 or 1); OBX-8 is 1 above the range and 2 below; OBX-12 "
        "has all digits; PID-3 is an age; OBR-20 is the bar code of the worklist, OBR-2 else (messages published by "
        "integrators).",
    ),
    Variant(
        name="mindray-chemistry",
        models=(
            "Mindray BS-200",
            "Mindray BS-240",
            "Mindray BS-480",
            "Mindray CL-900i",
            "URIT-8000",
            "Dirui CS series",
            "Biobase BK-200",
        ),
        sign=r"(?i)^(Mindray\|BS-?\d|BS-?\d+\w*\|Mindray|Biobase\|BK|urit\|8\d{3}\b)|\|MSH-16 [012]\b",
        options={
            "test": ("OBX-4", "OBX-3.1", "OBX-3.2", "OBX-3.4"),
            "specimen": ("OBR-2", "OBR-3"),
            "no_value": ("-268435455", "-268435455.000000"),
            "shape": "ORU^R01",
            "sender": "Mindray",
        },
        note="The test's name stands in OBX-4 (OBX-3 is its number or empty); OBR-2 is the tube's bar code, OBR-3 the "
        "analyser's own number; MSH-16 says 0 patient, 1 calibration, 2 control, of which the OBR says everything: who "
        "says so and is no other's is one of this kind, because many name no sender; orders are asked with QRY^Q02 "
        "(BS and CL series host interface manuals).",
    ),
)

__all__ = ["CONTROLS", "VARIANTS", "recognised"]
_speaking = recogniser(VARIANTS)


def recognised(sign: str, options: Hl7Options) -> tuple[Hl7Options, str | None]:
    """The options as the dialect of a message signed so presets them, and its name."""
    return preset(options, _speaking(sign) if options.recognise else None)
