"""Notebooks from scripts: a cell wherever a line says ``# %%``.

    python examples/as_notebook.py            # writes the notebooks anew beside their scripts

The script is what is edited; the notebook beside it is its copy for those who prefer one, without
outputs. ``tests/examples`` fails when the two differ, and runs both.
"""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

HERE = Path(__file__).resolve().parent
SCRIPTS = (HERE / "first_tour.py", HERE / "deep_tour.py", HERE / "classic" / "svd_ladder.py")


def notebook(script: str) -> NotebookNode:
    """The cells of a script in the percent format.

    >>> cells = notebook("# %% [markdown]\\n# # Two\\n\\n# %%\\n1 + 1\\n").cells
    >>> [(cell.cell_type, cell.source) for cell in cells]
    [('markdown', '# Two'), ('code', '1 + 1')]
    """
    cells = []
    for number, part in enumerate(re.split(r"^# %%", script, flags=re.MULTILINE)[1:]):
        head, _, body = part.partition("\n")
        if "[markdown]" in head:
            text = re.sub(r"^# ?", "", body.strip(), flags=re.MULTILINE)
            cell = new_markdown_cell(text)
        else:
            cell = new_code_cell(body.strip())
        cell["id"] = f"cell-{number}"  # the same script gives the same file
        cells.append(cell)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def main() -> None:
    for script in SCRIPTS:
        target = script.with_suffix(".ipynb")
        nbformat.write(notebook(script.read_text("utf-8")), target)
        print(target.relative_to(HERE.parent))


if __name__ == "__main__":
    main()
