"""The figures of a watcher in Prometheus's text, through the standard client library."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from nucleus_sync.events import JobFinished
from nucleus_sync.watch.happenings import Happening, RoundFinished
from nucleus_sync.watch.health import Health

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)


class Metrics:
    """Reads `health` when asked; only durations are gathered as they come."""

    def __init__(self, health: Health) -> None:
        self._registry = CollectorRegistry()
        self._jobs = Histogram(
            "nucleus_sync_job_seconds", "From a job's submission to its end", registry=self._registry, buckets=_SECONDS
        )
        self._lags = Histogram(
            "nucleus_sync_lag_seconds",
            "From the first sign of a changed file to its records' confirmation",
            registry=self._registry,
            buckets=_SECONDS,
        )
        self._rounds = Histogram(
            "nucleus_sync_round_seconds", "How long rounds take", registry=self._registry, buckets=_SECONDS
        )
        self._registry.register(_Figures(health))
        ProcessCollector(registry=self._registry)

    def take(self, event: Happening) -> None:
        """Add one event."""
        match event:
            case JobFinished():
                self._jobs.observe(event.seconds)
            case RoundFinished():
                self._rounds.observe(event.seconds)
                if event.lag is not None:
                    self._lags.observe(event.lag)

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self._registry)


class _Figures:
    def __init__(self, health: Health) -> None:
        self._health = health

    def collect(self) -> Iterator[Metric]:
        """What the library asks a collector for."""
        health = self._health
        with health.lock:
            yield _counter("rounds", "Rounds by outcome", "outcome", dict(health.rounds))
            yield _counter("records", "Records and resources by what was done", "action", dict(health.records))
            yield CounterMetricFamily("nucleus_sync_sent_bytes", "Bytes of submitted jobs", value=health.sent_bytes)
            yield _gauge("queue_files", "Files that have changed and not settled", health.waiting)
            yield _gauge("jobs_running", "Jobs under way", len(health.running))
            yield _gauge("oldest_change_seconds", "Age of the oldest change that isn't confirmed", health.lag)
            yield _gauge("last_success_timestamp_seconds", "When the last good round ended", health.last_good or 0.0)
            yield _gauge("ready", "1 where /readyz says yes", float(health.ready()[0]))
            stream = GaugeMetricFamily("nucleus_sync_stream_lag_seconds", "Of the last job", labels=["stream"])
            for address, seconds in health.lags.items():
                stream.add_metric([address], seconds)
            yield stream


def _counter(name: str, text: str, label: str, figures: dict[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(f"nucleus_sync_{name}", text, labels=[label])
    for value, number in sorted(figures.items()):
        family.add_metric([value], number)
    return family


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"nucleus_sync_{name}", text, value=value)
