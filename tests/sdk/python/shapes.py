"""The shape the clients are asked to fill, as those want it that take classes."""

from typing import Literal

from pydantic import BaseModel, Field


class Mood(BaseModel):
    """How somebody feels."""

    mood: Literal["glad", "sad"] = Field(description="How they feel")
    sure: bool = Field(description="Whether that is certain")


class City(BaseModel):
    """The arguments of the one tool there is."""

    city: Literal["Paris", "Rome"]
