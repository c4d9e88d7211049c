from __future__ import annotations

from tests.delivery.samples import SOURCE, Test, fault, proposal
from tests.pages.scenes import TEXT, TOTAL, source

from llm_testgen.pages.blocks import Tone
from llm_testgen.pages.lines import lines_of, reached, told
from llm_testgen.pages.listing import listing
from llm_testgen.proposal import CoverageFigures
from llm_testgen.records import Outcome

ALL = (1, 2, 3, 4, 5)
GAINING = Test(lines=ALL, gained={SOURCE: (3, 4)})


def tones(made, sources=None):
    target = made.targets[0]
    return lines_of(target, (sources or {}).get(target.id, ()), reached(made)).tones


def with_figures(made, before, after, lines=4):
    figures = CoverageFigures(before=0, after=0, changed_lines=lines, covered_before=before, covered_after=after)
    return made.model_copy(update={"coverage": figures})


def test_lines_that_tests_gain_are_newly_executed_and_of_the_others_nothing_is_claimed():
    found = tones(proposal([GAINING]), source())
    assert found == {1: Tone.UNTOLD, 3: Tone.GAINED, 4: Tone.GAINED, 5: Tone.UNTOLD}


def test_without_the_source_every_changed_line_counts():
    assert tones(proposal([GAINING])).keys() == set(ALL)


def test_where_all_is_executed_in_the_end_the_others_were_before():
    assert tones(with_figures(proposal([GAINING]), 2, 4), source())[5] is Tone.BEFORE


def test_where_nothing_was_executed_before_the_others_are_still_not():
    assert tones(with_figures(proposal([GAINING]), 0, 2), source())[5] is Tone.MISSING


def test_what_only_a_refused_test_gains_is_still_not_executed():
    made = proposal([GAINING, Test(name="test_vain", lines=ALL, outcome=Outcome.VACUOUS)])
    vain = made.verdicts[1].model_copy(update={"gained": {SOURCE: (4, 5)}})
    found = tones(made.model_copy(update={"verdicts": (made.verdicts[0], vain)}), source())
    assert (found[4], found[5]) == (Tone.GAINED, Tone.MISSING)


def test_a_line_in_which_a_test_notices_a_fault_and_that_it_does_not_gain_was_executed_before():
    noticing = Test(lines=ALL, gained={SOURCE: (3, 4)}, killed=(fault(line=3), fault(line=5)))
    found = tones(proposal([noticing]), source())
    assert (found[3], found[5], found[1]) == (Tone.GAINED, Tone.BEFORE, Tone.UNTOLD)


def test_lines_that_the_proposal_records_are_shown_as_recorded():
    made = proposal([GAINING])
    target = made.targets[0].model_copy(update={"measured": (1, 3, 5), "covered": (1,)})
    found = tones(made.model_copy(update={"targets": (target,)}), source())
    assert found == {1: Tone.BEFORE, 3: Tone.GAINED, 5: Tone.MISSING}


def test_a_source_that_is_no_python_hides_no_line():
    sources = source()
    (method,) = sources[TOTAL]
    broken = type(method)(SOURCE, "total", method.kind, 1, 5, "", "", "def total(:\n")
    assert tones(proposal([GAINING]), {TOTAL: (broken,)}).keys() == set(ALL)


def test_lines_of_a_method_inside_a_class_are_those_of_the_file():
    text = f"class Cart:\n    size = 1\n\n    {TEXT.strip().replace(chr(10), chr(10) + '    ')}\n"
    name = f"{SOURCE}::Cart.total"
    made = proposal([Test(method="Cart.total", lines=(4, 5, 6, 7, 8), gained={SOURCE: (6,)})])
    assert tones(made, source(text, name)) == {4: Tone.UNTOLD, 6: Tone.GAINED, 7: Tone.UNTOLD, 8: Tone.UNTOLD}


def test_what_became_of_the_lines_is_told_in_words():
    made = proposal([GAINING])
    lines = lines_of(made.targets[0], source()[TOTAL], reached(made))
    assert told(lines) == "4 changed lines: 2 newly executed, 2 executed before or still not"


def rows(text, *tests):
    made = proposal(tests)
    known, sources = reached(made), source(text)
    lines = lines_of(made.targets[0], sources[TOTAL], known)
    names = {index: verdict.name for index, verdict in enumerate(made.verdicts)}
    return listing(sources[TOTAL], lines, SOURCE, known.gained, names).rows


def test_a_listing_names_the_tests_that_newly_execute_a_line():
    found = rows(TEXT, GAINING, Test(name="test_other", lines=ALL, gained={SOURCE: (4,)}))
    assert [row.number for row in found] == [1, 2, 3, 4, 5]
    assert [[link.href for link in row.tests] for row in found] == [[], [], ["#v0"], ["#v0", "#v1"], []]
    assert [row.tone for row in found][1] is None


def test_a_long_source_is_shown_around_its_changed_lines():
    text = TEXT + "".join(f"    x{number} = 1\n" for number in range(300))
    found = rows(text, Test(lines=(3, 200), gained={SOURCE: (200,)}))
    assert [row.number for row in found] == [1, 2, 3, 4, 5, 6, 0, *range(197, 204)]
