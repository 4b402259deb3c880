"""What people ask: the page that answers it, and the words that somebody would search
with.
"""

from typing import NamedTuple


class Question(NamedTuple):
    """A question by the words to search with, and the page that answers it."""

    words: str
    page: str


QUESTIONS = [
    Question("sample clients", "howto/try-it.html"),
    Question("python versions", "howto/versions.html"),
    Question("backend", "howto/backend.html"),
    Question("cuda", "howto/gpu.html"),
    Question("limits", "concepts/limits.html"),
    Question("cite", "howto/cite.html"),
    Question("embedding output", "howto/embedding-output.html"),
    Question("convolutional", "howto/convolutional.html"),
    Question("subclassed model", "howto/subclassed-model.html"),
    Question("check tied", "howto/check-ties.html"),
    Question("lora", "howto/freeze-lora-quantise.html"),
    Question("resume", "howto/resume.html"),
    Question("reproducible", "howto/reproducible.html"),
    Question("several gpus", "howto/several-devices.html"),
    Question("fill csv", "howto/fill-csv.html"),
    Question("how many components", "howto/width.html"),
    Question("GridSearchCV", "howto/pipeline.html"),
    Question("replace pca", "howto/replace-pca.html"),
    Question("umap", "howto/umap.html"),
    Question("why odd", "howto/explain-row.html"),
    Question("dates", "howto/mixed-columns.html"),
    Question("leave columns out", "howto/leave-columns-out.html"),
    Question("memory", "howto/larger-than-memory.html"),
    Question("drift", "howto/drift.html"),
    Question("cron", "howto/nightly.html"),
    Question("exit codes", "howto/exit-codes.html"),
    Question("deploy", "howto/deploy-without-keras.html"),
    Question("browser", "howto/onnx-browser.html"),
    Question("another language", "howto/other-languages.html"),
    Question("error messages", "faq.html"),
]
