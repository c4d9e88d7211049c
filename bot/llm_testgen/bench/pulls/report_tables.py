"""Tables of results as a page shows them."""

from __future__ import annotations

from collections.abc import Iterator

from llm_testgen.bench.pulls.report_charts import LONGEST_NAME
from llm_testgen.bench.pulls.tables import Table as Rows
from llm_testgen.bench.pulls.tables import by_model
from llm_testgen.delivery.markdown import visible
from llm_testgen.pages.blocks import Column, Table
from llm_testgen.pages.words import plain


def page_tables(rows: Rows) -> Iterator[Table]:
    """A table of each model, those without a row left out."""
    for part in by_model(rows):
        if part.rows:
            yield page_table(part)


def page_table(rows: Rows) -> Table:
    """The same table; columns of figures stand at their right edge."""
    columns = [
        Column(heading, numeric=place > 0 and all(_is_figure(row[place]) for row in rows.rows))
        for place, heading in enumerate(rows.headings)
    ]
    cells = tuple(tuple(plain(cell, LONGEST_NAME) for cell in row) for row in rows.rows)
    return Table(visible(rows.title, LONGEST_NAME), tuple(columns), cells)


def _is_figure(cell: str) -> bool:
    return cell[:1].isdecimal() or cell[:1] in {"+", "-"}
