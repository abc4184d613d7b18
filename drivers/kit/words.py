"""Qualitative results: the words instruments use, and what they mean.

A text is read as whole words, the longest known phrase first, so that "not detected" is never taken for
"detected". A text with two different calls in it has no meaning here: nobody guesses which one counts.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from drivers.kit.observation import Interpretation as I  # noqa: N817 - a table reads better with a short name

PHRASES: Final[Mapping[I, tuple[str, ...]]] = MappingProxyType(
    {
        I.POSITIVE: ("positive", "pos", "positif", "positive(+)", "阳性", "positivo", "positiva", "positiv", "poz", "弱阳性", "مثبت", "weak positive",
                     "presumptive positive", "presumed positive", "faiblement positif", "weakly positive"),
        I.NEGATIVE: ("negative", "neg", "négatif", "negatif", "négative", "阴性", "negativo", "negativa", "negativ", "منفی", "منفي", "not positive",
                     "presumptive negative", "pas positif"),
        I.DETECTED: ("detected", "target detected", "détecté", "détectée", "detecte", "检出", "已检出",
                     "present", "présent", "detectable", "détectable", "detectado", "detectada", "nachgewiesen", "rilevato"),
        I.NOT_DETECTED: ("not detected", "target not detected", "undetected", "none detected", "no target detected",
                         "non détecté", "non détectée", "non detecte", "non detecté", "indétecté", "pas détecté",
                         "未检出", "absent", "not present", "notdetected", "not-detected", "tnd",
                         "no detectado", "no detectada", "não detectado", "não detectada", "nicht nachgewiesen", "non rilevato",
                         "undetectable", "not detectable", "non détectable", "indétectable"),
        I.REACTIVE: ("reactive", "weakly reactive", "weak reactive", "réactif", "réactive", "有反应", "反应性", "弱反应性",
                     "فعال"),
        I.NON_REACTIVE: ("non reactive", "nonreactive", "not reactive", "non-reactive", "non réactif",
                         "non réactive", "无反应", "非反应性", "غیر فعال"),
        I.RESISTANT: ("resistant", "résistant", "耐药"),
        I.SUSCEPTIBLE: ("susceptible", "sensitive", "sensible", "敏感"),
        I.INTERMEDIATE: ("intermediate", "intermédiaire", "中介"),
        I.INDETERMINATE: ("indeterminate", "indéterminé", "indetermine", "equivocal", "équivoque", "inconclusive",
                          "borderline", "gray zone", "grey zone", "grayzone", "greyzone", "uncertain",
                          "不确定", "可疑", "غیر واضح", "مشکوک"),
        I.INVALID: ("invalid", "invalide", "error", "erreur", "no result", "aucun résultat", "pas de résultat",
                    "failed", "failure", "aborted", "inválido", "invalido", "ungültig", "non valido", "no válido", "无效", "错误", "غلط", "غیر معتبر", "ناقص"),
        I.NORMAL: ("normal", "norm", "正常", "نارمل"),
        I.ABNORMAL: ("abnormal", "anormal", "异常", "غیر معمولی"),
    }
)  # fmt: skip

# A call with one of these beside it, in no phrase of the table, says something the table does not know.
NEGATIONS: Final = frozenset(
    {
        "not",
        "non",
        "no",
        "nor",
        "neither",
        "never",
        "cannot",
        "without",
        "un",
        "pas",
        "ni",
        "ne",
        "aucun",
        "aucune",
        "jamais",
        "kein",
        "keine",
        "nicht",
        "sin",
        "não",
        "nao",
        "未",
        "非",
        "不",
        "无",
        "غیر",
        "نہیں",
        "غير",
        "ليس",
        "لا",
    }
)
# "Internal control detected" is not the specimen's call.
CONTROLS: Final = frozenset({"control", "controls", "ctrl", "contrôle", "contrôles", "controle", "kontrolle", "کنٹرول"})
# "A NEG" and "O Rh pos" are blood groups, not calls.
GROUPS: Final = frozenset({"a", "b", "ab", "o", "0", "rh", "rhd", "d"})
_UNSURE = re.compile(r"[?؟？]|n['’]t\b|[^^\s]\^+[^^\s]", re.IGNORECASE)  # "positive?", "isn't detected", "A^NEG^NEG"
_CJK = re.compile(r"[\u3400-\u9fff]")
_TOKEN = re.compile(r"[^\W_]+|[\u3400-\u9fff]", re.UNICODE)
MOST_CHARACTERS: Final = 400  # a longer text is a report, not a call


def _plain(text: str) -> str:
    """Lower case, one form for each letter, dashes and brackets as spaces."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(_TOKEN.findall(folded))


@lru_cache(maxsize=1)
def _known() -> Mapping[str, I]:
    return {_plain(phrase): meaning for meaning, phrases in PHRASES.items() for phrase in phrases}


@lru_cache(maxsize=1)
def _longest() -> int:
    return max(len(phrase.split()) for phrase in _known())


@lru_cache(maxsize=4096)
def interpret(text: str) -> I | None:
    """What a call means; None where it is not known, is doubted, or says two different things."""
    if len(text) > MOST_CHARACTERS or _UNSURE.search(text):
        return None
    words = _plain(text).split()
    whole = _known().get(" ".join(words))
    if whole is not None or _CJK.search(text):
        return whole  # no spaces to find Chinese words by: only a whole phrase counts
    found, rest = _calls(words)
    if len(found) != 1 or not NEGATIONS.isdisjoint(rest) or (rest and rest <= GROUPS):
        return None
    (meaning,) = found
    return meaning if meaning is I.INVALID or CONTROLS.isdisjoint(rest) else None


def _calls(words: Sequence[str]) -> tuple[set[I], set[str]]:
    """The meanings of the longest known phrases, from the left, and the words in none of them."""
    known, found, rest = _known(), set[I](), set[str]()
    at = 0
    while at < len(words):
        for length in range(min(_longest(), len(words) - at), 0, -1):
            meaning = known.get(" ".join(words[at : at + length]))
            if meaning is not None:
                found.add(meaning)
                at += length
                break
        else:
            rest.add(words[at])
            at += 1
    return found, rest
