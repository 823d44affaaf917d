"""Windows with and without an event, and what was said of them, counted."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

from .crops import Float32


@dataclass(frozen=True)
class EventScore:
    """Counts of windows.

    A missed event is a false negative and lowers the recall; a false alarm is a false positive and lowers the
    precision. (DeepQuake's own evaluation counts each as the other, so that its two figures are exchanged.)
    """

    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int

    @classmethod
    def of(cls, probability: Float32, is_event: Float32, threshold: float) -> EventScore:
        """Count windows by their probability of an event and whether they hold one."""
        said, held = probability >= threshold, is_event > 0.5
        return cls(*(int(each.sum()) for each in (said & held, said & ~held, ~said & ~held, ~said & held)))

    @property
    def precision(self) -> float:
        """Share of the detections that are events."""
        return self.true_positives / max(1, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """Share of the events that were detected."""
        return self.true_positives / max(1, self.true_positives + self.false_negatives)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        missed = self.false_positives + self.false_negatives
        return 2 * self.true_positives / max(1, 2 * self.true_positives + missed)

    @property
    def accuracy(self) -> float:
        """Share of the windows of which the right thing was said."""
        return (self.true_positives + self.true_negatives) / max(1, self.windows)

    @property
    def windows(self) -> int:
        """How many there are."""
        return self.true_positives + self.false_positives + self.true_negatives + self.false_negatives

    def figures(self, prefix: str) -> dict[str, float]:
        """Give the shares and the counts, for a record of a training."""
        shares = {name: round(float(getattr(self, name)), 4) for name in ("precision", "recall", "f1", "accuracy")}
        counts = {name: float(value) for name, value in asdict(self).items()}
        return {f"{prefix}{name}": value for name, value in {**shares, **counts}.items()}

    @classmethod
    def from_figures(cls, figures: dict[str, float], prefix: str) -> EventScore:
        """Give what `figures` was made of."""
        return cls(**{each.name: int(figures[f"{prefix}{each.name}"]) for each in fields(cls)})

    def as_deepquake(
        self, *, model: str, window_s: int, components: int, classes: int, dataset: str
    ) -> dict[str, object]:
        """Give the JSON of DeepQuake's evaluation (results.py), in percent, its two figures the right way round."""
        percent = {name: 100 * float(getattr(self, name)) for name in ("accuracy", "precision", "recall", "f1")}
        return {
            "window_size": window_s,
            "n_traces": components,
            "n_clusters": classes,
            "model": model,
            "truePositives": self.true_positives,
            "falsePositives": self.false_positives,
            "trueNegatives": self.true_negatives,
            "falseNegatives": self.false_negatives,
            **percent,
            "locationAccuracy": percent["accuracy"],
            "round": 0,
            "dataset": dataset,
        }
