"""Writes the word lists of crates/guard/src/names from Faker's locales (MIT) and the time zone database (public domain).

    .hermetic/guardrails/bin/python scripts/name_lists.py

Words that English texts also use in lower case are marked: alone they name nobody. Which those are is counted in the
documentation of the Python standard library.
"""

import collections
import importlib
import pathlib
import re
import unicodedata

import faker
import guardrails_sets

OUT = guardrails_sets.ROOT / "crates" / "guard" / "src" / "names"
FIRST, LAST, COMMON = 1, 2, 4
LOCALES = """az_AZ cs_CZ da_DK de_AT de_CH de_DE en_AU en_CA en_GB en_IN en_NG en_NZ en_PK en_US es_AR es_CL es_CO es_ES
es_MX et_EE fi_FI fil_PH fr_BE fr_CA fr_CH fr_FR ha_NG hr_HR hu_HU id_ID ig_NG it_IT lb_LU lt_LT lv_LV nl_BE nl_NL
no_NO pl_PL pt_BR pt_PT ro_RO sk_SK sl_SI sv_SE sw tr_TR tw_GH vi_VN yo_NG""".split()
# Names that English speakers meet and none of the locales has in Latin letters (transliterations in common use).
ABROAD = """ahmed ali omar hassan hussein ibrahim yusuf khalid abdullah fatima aisha layla zainab mustafa karim samir rashid
nadia yasmin wei ming jing xiu chen wang zhang liu yang huang zhao zhou wu xu sun zhu hu lin guo luo yuki hiroshi kenji takashi
akira haruto yuto sakura hana aiko naoko keiko tanaka suzuki sato takahashi watanabe ito yamamoto nakamura kobayashi kato
yoshida yamada sasaki yamaguchi matsumoto inoue kimura hayashi ivan dmitri sergei alexei vladimir mikhail nikolai natasha olga
svetlana tatiana irina yelena anastasia ivanov petrov sidorov smirnov kuznetsov popov volkov sokolov kim park choi jung kang cho
yoon jang lim minjun seoyeon jiwoo""".split()
CITIES = """beijing bangalore mumbai delhi chennai hyderabad pune ahmedabad osaka kyoto yokohama nagoya munich hamburg cologne
frankfurt stuttgart dusseldorf leipzig dresden lyon marseille toulouse nice nantes bordeaux lille milan naples turin florence
venice barcelona valencia seville bilbao porto rotterdam utrecht antwerp ghent geneva basel bern gothenburg malmo bergen aarhus
tampere turku krakow gdansk wroclaw poznan brno birmingham manchester liverpool leeds glasgow edinburgh cardiff bristol belfast
cork boston philadelphia houston dallas austin seattle miami atlanta minneapolis baltimore pittsburgh cleveland cincinnati
sacramento oakland memphis nashville milwaukee albuquerque tucson omaha raleigh tampa orlando honolulu montreal ottawa calgary
quebec brisbane canberra wellington guangzhou shenzhen wuhan chengdu tianjin incheon busan washington|new york city|san francisco
san diego|san jose|san antonio|las vegas|new orleans|salt lake city|kansas city|rio de janeiro|tel aviv|cape town""".replace("\n", " ")


def folded(word):
    plain = "".join(c for c in unicodedata.normalize("NFKD", word) if not unicodedata.combining(c)).lower()
    return plain.translate(str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ı": "i", "ħ": "h", "ŧ": "t", "’": "'"}))


def values(found):
    return list(found) if not hasattr(found, "keys") else list(found.keys())


def locale_names():
    kinds = collections.Counter()
    for locale in LOCALES:
        try:
            provider = importlib.import_module(f"faker.providers.person.{locale}").Provider
        except ModuleNotFoundError:
            continue
        for attribute in dir(provider):
            kind = FIRST if attribute.startswith("first_name") else LAST if attribute.startswith("last_name") else 0
            found = getattr(provider, attribute)
            if kind and isinstance(found, (list, tuple, dict)):
                for entry in values(found):
                    if isinstance(entry, str):
                        for word in re.split(r"[ -]", folded(entry)):
                            if re.fullmatch(r"[^\W\d_]{2,18}", word) and word.isascii():
                                kinds[word] |= kind
    for word in ABROAD:
        kinds[word] |= FIRST | LAST
    return kinds


def english():
    """Words in lower case, and how often."""
    counts = collections.Counter()
    rows = guardrails_sets.manuals(False) + guardrails_sets.manuals(True)
    rows += [row for row in guardrails_sets.s_labs("train") + guardrails_sets.neuralchemy("train") if row[1] == 0]
    for text, _ in rows:
        counts.update(re.findall(r"(?<![\w.'_])[a-z]{2,18}(?![\w'_(=])", text))
    return counts


def places():
    found = set()
    for zone in (pathlib.Path(__import__("tzdata").__file__).parent / "zones").read_text().split():
        parts = zone.split("/")
        if len(parts) > 1 and parts[0] not in ("Etc", "US", "SystemV", "Antarctica"):
            found.add(parts[-1].replace("_", " "))
    for locale in ("en", "en_US", "en_GB", "en_AU", "en_CA", "en_IN", "de_DE", "fr_FR", "it_IT", "es_ES", "nl_NL", "pl_PL", "sv_SE",
                   "fi_FI", "hu_HU", "pt_BR", "pt_PT", "cs_CZ", "hr_HR", "sl_SI", "no_NO", "tr_TR", "fil_PH", "en_IE", "en_NZ"):
        try:
            module = importlib.import_module("faker.providers.address" if locale == "en" else f"faker.providers.address.{locale}")
        except ModuleNotFoundError:
            continue
        for attribute in ("countries", "cities", "city_names", "states", "provinces", "regions", "counties", "large_cities"):
            entries = getattr(module.Provider, attribute, ())
            # Longer lists hold villages.
            if isinstance(entries, (list, tuple, dict)) and len(entries) < 600:
                for entry in entries:
                    entry = entry if isinstance(entry, str) else entry[-1]
                    found.add(entry.split(" (")[0])
    found.update(part.strip() for piece in CITIES.split("|") for part in
                 ([piece] if CITIES.split("|").index(piece) and " " in piece and len(piece) < 20 else piece.split()))
    kept = {folded(place) for place in found}
    return {place for place in kept if re.fullmatch(r"[a-z' -]{4,30}", place) and place.count(" ") < 4}


def main():
    counts = english()
    common = {word for word, count in counts.items() if count >= 6}
    lines = []
    kinds = locale_names()
    for word in sorted(kinds.keys() | common):
        kind = kinds.get(word, 0) | (COMMON if counts[word] >= (4 if word in kinds else 6) else 0)
        lines.append(f"{word}{kind}")
    head = "# word and kind: 1 first name, 2 surname, 4 also an English word. Names: Faker {} (MIT). See scripts/name_lists.py.\n"
    (OUT / "words.txt").write_text(head.format(faker.VERSION) + "\n".join(lines) + "\n")
    named = sorted(place for place in places() if counts[place] < 2)
    head = "# Countries, states, cities: time zone database (public domain), Faker {} (MIT). See scripts/name_lists.py.\n"
    (OUT / "places.txt").write_text(head.format(faker.VERSION) + "\n".join(named) + "\n")
    print(len(lines), "words", len(kinds), "names", len(named), "places")


if __name__ == "__main__":
    main()
