"""What a consumer measures, as JSON lines: one a second and one at the end, as `mosctl frames --json` prints them."""

import json
import time


class Figures:
    """Frames of a span: how many, how old, how many were missed."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.start()

    def start(self, missed: int = 0, gaps: int = 0) -> None:
        """A new span; what was missed before is not counted."""
        self.began, self.ages = time.monotonic(), []
        self.missed_before, self.gaps_before = missed, gaps

    def add(self, capture_ns: int) -> None:
        """A frame, captured then by CLOCK_MONOTONIC."""
        self.ages.append((time.monotonic_ns() - capture_ns) // 1000)

    def is_over(self, seconds: float) -> bool:
        return time.monotonic() - self.began >= seconds

    def say(self, missed: int, gaps: int) -> None:
        """Prints the span; `missed` and `gaps` are those of the whole subscription."""
        seconds, ages = time.monotonic() - self.began, sorted(self.ages)
        line = {
            "type": self.kind,
            "seconds": seconds,
            "frames": len(ages),
            "fps": len(ages) / seconds if seconds else 0.0,
            "age_p50_us": percentile(ages, 50),
            "age_p99_us": percentile(ages, 99),
            "gaps": gaps - self.gaps_before,
            "drops": missed - self.missed_before,
        }
        print(json.dumps(line), flush=True)


def percentile(ages: list[int], rank: int) -> int | None:
    """Of a sorted list; None if it is empty. A frame that is shown ahead of its time has no age: 0."""
    return max(0, ages[(len(ages) - 1) * rank // 100]) if ages else None
