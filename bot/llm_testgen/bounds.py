"""Types of what is read from another job: whatever it says, it has an end and names nothing outside the repository."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from llm_testgen.paths import LONGEST_PATH, is_inside
from llm_testgen.records import LONGEST_CODE, LONGEST_FILE

DIGEST_DIGITS = 16

# How many there may be of what has no bound by nature: far more than any run gives.
FEW = Field(max_length=1_000)
MANY = Field(max_length=100_000)


# No run counts further, and a number of thousands of digits cannot even be printed.
Count = Annotated[int, Field(ge=0, le=10**12)]
Ordinal = Annotated[int, Field(ge=1, le=10**12)]
Seconds = Annotated[float, Field(ge=0, le=1e9)]


def _inside(path: str) -> str:
    if not is_inside(path):
        msg = "is no path inside the repository"
        raise ValueError(msg)
    return path


RepositoryPath = Annotated[str, Field(max_length=LONGEST_PATH), AfterValidator(_inside)]
# What tests are added to: never a workflow, a setting or a script.
PythonPath = Annotated[RepositoryPath, Field(pattern=r"\.py$")]
Lines = Annotated[tuple[Ordinal, ...], Field(max_length=200_000)]
Indices = Annotated[tuple[Count, ...], MANY]
Text = Annotated[str, Field(max_length=20_000)]
Code = Annotated[str, Field(max_length=LONGEST_CODE)]
Whole = Annotated[str, Field(max_length=LONGEST_FILE)]
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
Digest = Annotated[str, Field(pattern=rf"^[0-9a-f]{{{DIGEST_DIGITS}}}$")]


class Bounded(BaseModel):
    """A record that cannot be changed and has no other keys than its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
