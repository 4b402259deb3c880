"""Peers that score the rows they learn from, and how well scores rank the odd ones."""

from functools import partial
from pkgutil import resolve_name

from benchmarks._case import Measure, System

AREA = Measure("area under ROC", "more")
PRECISION = Measure("average precision", "more")
DETECTORS = {
    "isolation forest": ("sklearn.ensemble.IsolationForest", {"random_state": 0}),
    "PyOD COPOD": ("pyod.models.copod.COPOD", {}),
    "PyOD ECOD": ("pyod.models.ecod.ECOD", {}),
    "PyOD HBOS": ("pyod.models.hbos.HBOS", {}),
    "PyOD MCD": ("pyod.models.mcd.MCD", {"random_state": 0}),
    "PyOD KNN": ("pyod.models.knn.KNN", {}),
    "PyOD CBLOF": ("pyod.models.cblof.CBLOF", {"random_state": 0}),
    "PyOD OCSVM": ("pyod.models.ocsvm.OCSVM", {}),
    "PyOD INNE": ("pyod.models.inne.INNE", {"random_state": 0}),
    "PyOD AutoEncoder": ("pyod.models.auto_encoder.AutoEncoder", {"verbose": 0}),
}


def list_detectors(run):
    """The systems of a case, whose `run` takes a function of rows to scores, and a task."""
    systems = {}
    for name, (path, settings) in DETECTORS.items():
        module, _, _ = path.rpartition(".")
        detect = partial(score_rows, path, settings)
        systems[name] = System(partial(run, detect), module)
    return systems


def score_rows(path, settings, X, others=None):
    """The scores of the rows, or of others; the higher, the odder. Columns are standardised."""
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(X)
    X = scaler.transform(X)
    detector = resolve_name(path)(**settings).fit(X)
    if others is None and hasattr(detector, "decision_scores_"):
        return detector.decision_scores_
    scored = X if others is None else scaler.transform(others)
    if hasattr(detector, "decision_scores_"):
        return detector.decision_function(scored)
    return -detector.score_samples(scored)


def measure_ranking(is_odd, scores):
    from sklearn.metrics import average_precision_score, roc_auc_score

    return {
        "area": roc_auc_score(is_odd, scores),
        "precision": average_precision_score(is_odd, scores),
    }
