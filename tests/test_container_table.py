"""Every cell of the table in docs/containers.rst is what the functions do."""

from importlib import import_module

import pytest
from container_table import ROWS, TABLE, cells, formatted, is_available, table

pytestmark = pytest.mark.once


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.argument)
def test_row(row):
    if not TABLE.exists():
        pytest.skip("the documentation is not beside the tests")
    if not is_available(row):
        pytest.skip(f"{row.libraries} is not installed: this row of the table was not checked")
    if "pyarrow]" in row.argument and int(import_module("pandas").__version__.split(".")[0]) < 3:
        pytest.skip("pandas 2 makes NumPy columns of Arrow's in a ufunc: the row is that of pandas 3")
    assert formatted(cells(row)) in TABLE.read_text()


def test_the_table_has_no_other_rows():
    if not TABLE.exists():
        pytest.skip("the documentation is not beside the tests")
    assert TABLE.read_text().count("   * - ") == len(ROWS) + 1
    assert TABLE.read_text().startswith(table([]))
