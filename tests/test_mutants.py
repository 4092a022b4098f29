"""The lists of mistakes that `mutants.py` puts in: each has its place in the code as it is now."""

from pathlib import Path

import pytest

from mutant_list import Mutant
from mutant_list_python import PythonMutant
from mutants import AROUND, CORE, HOST, path_of

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("mutant", [*CORE, *HOST, *AROUND], ids=lambda mutant: f"{mutant.file}: {mutant.breaks}")
def test_a_mistake_can_be_made_in_one_place(mutant: Mutant | PythonMutant) -> None:
    assert path_of(mutant, ROOT).read_text(encoding="utf-8").count(mutant.old) == 1
