"""What people ask: the page that answers it, and the words that somebody would search with."""

from typing import NamedTuple


class Question(NamedTuple):
    """A question by the words to search with, and the page that answers it."""

    words: str
    page: str


QUESTIONS = [
    Question("cuda", "howto/gpu.html"),
]
