"""How makers depart from the standard: presets of the options, and how such a device names itself in its hello."""

from __future__ import annotations

from drivers.kit.declare import Variant
from drivers.kit.dialects import preset, recogniser
from drivers.kit.poct1_messages import Hello
from drivers.poct1a.options import Poct1aOptions

VARIANTS = (
    Variant(
        name="dca-vantage",
        models=("Siemens DCA Vantage",),
        sign=r"\bDCA\b",
        options={"continuous": "always"},
        note="Results on one request, then continuous mode; times of results without a UTC offset; sends RES on a "
        "first poll (conversation published as github.com/standash/poct1-a_server).",
    ),
    Variant(
        name="sofia",
        models=("Quidel Sofia", "Quidel Sofia 2"),
        sign=r"(?i)\bsofia\b",
        options={
            "ask": "never",
            "continuous": "always",
            "acknowledged_in": ("ACK.ack_control_id", "ACK.control_id"),
        },
        device={"words": {"passed": "normal", "failed": "abnormal"}},
        note="Sends results in continuous mode only, understands no requests; its interface names the acknowledged "
        "message ACK.control_id; the order number is the accession "
        "(Sofia POCT1-A interface: introduction and continuous phase).",
    ),
    Variant(
        name="i-stat",
        models=("Abbott i-STAT 1",),
        sign=r"(?i)\bi-?stat\b",
        options={"ask": "each", "continuous": "never"},
        note="One request for each result; prompts the operator answered come in RSN and go into "
        "`attributes.prompts` (flow published as github.com/patnatha/poct1_a).",
    ),
    Variant(
        name="statstrip",
        models=("Nova StatStrip", "Nova StatSensor"),
        sign=r"(?i)\bnova ?bio|\bstat(strip|sensor)",
        options={"supervised": True},
        note="The accession stands in ORD.order_id, with UNKNOWN as the patient; a supervisor who overrode stands "
        "behind the operator; text in elements beside their value "
        "(DML NovaNet interface 2.59, sections on OBS.R01 and OBS.R02).",
    ),
    Variant(
        name="hemoscreen",
        models=("PixCell HemoScreen",),
        sign=r"(?i)\bhemoscreen\b",
        options={
            "framing": "mllp",
            "acknowledge_topic_end": True,
            "acknowledged_in": ("ACK.ack_control_id", "ACK.control_id"),
            "specimen": ("PT.patient_id", "CTC.name"),
            "patient": (),
        },
        note="MLLP frames; the test identifier stands in PT.patient_id; a flag is a note of one character "
        "(HemoScreen POCT1-A2 protocol HS-IL-00067 as implemented in public code).",
    ),
    Variant(
        name="coag-sense",
        models=("CoaguSense Coag-Sense PT2",),
        sign=r"(?i)\bcoag-?(sense|usense)|\bPT2\b",
        options={"acknowledge_topic_end": True},
        note="Ends of topics are acknowledged; INR and seconds by LOINC code (flow of public code that reads the "
        "meter over Wi-Fi).",
    ),
    Variant(
        name="alere",
        models=("Abbott Afinion 2", "Abbott ID NOW"),
        sign=r"(?i)\balere\b|\bafinion\b|\bid now\b",
        note="Maker's own messages (ALERE.AXIS.LOCKSTATUS) are acknowledged and become events; ESC while a test runs "
        "is waited out (message catalogue of the Afinion interface).",
    ),
    Variant(
        name="roche",
        models=("Roche cobas Liat", "Roche cobas h 232"),
        sign=r"(?i)\broche\b|\bliat\b|\bh ?232\b",
        note="No departure from the standard is known: the interface manuals are not public beyond their front pages.",
    ),
)
_speaking = recogniser(VARIANTS)


def recognised(who: Hello | None, options: Poct1aOptions) -> tuple[Poct1aOptions, str | None]:
    """The options as the dialect of a device that names itself so presets them, and its name."""
    return preset(options, _speaking(who.names) if options.recognise and who is not None else None)
