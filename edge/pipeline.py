"""One station's stream: packets in, results out. The same object serves archives and live data."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor, Future

from seisedge.firmware_bridge import Packet

from .aligner import Aligner, Chunk
from .classify import thresholds_with
from .errors import DataError
from .manifest import Threshold
from .picks import StationId
from .postprocess import Postprocess, Result, postprocess_of
from .preprocess import Preprocess, StreamChain
from .runs import Float32, Run
from .session import Session
from .times import index_at
from .windows import WindowBlock, WindowCutter

_LONGEST_BREAK_NS = 60_000_000_000
"""A component that ended longer ago says nothing of where another one has to stand."""
_NOBODY = StationId("", "", "", "")
_MOST_RUNNING = 16  # blocks given to an executor and not yet collected: bounds memory


class StationStream:
    """Packets of one station → blocks of windows that are ready for the network.

    Parameters
    ----------
    preprocess
        Of the model; shared by all stations.
    stride
        Samples from window to window.
    reorder_wait_s
        See `Aligner`.
    absent
        Components that the station does not have, and that nothing waits for.
    """

    def __init__(
        self,
        preprocess: Preprocess,
        *,
        stride: int,
        reorder_wait_s: float = 5.0,
        absent: frozenset[int] = frozenset(),
    ) -> None:
        components = len(preprocess.manifest.components.order)
        self._absent = absent
        self._preprocess = preprocess
        self.aligner = Aligner(components, reorder_wait_s=reorder_wait_s)
        self.cutter = WindowCutter(preprocess.manifest, stride=stride)
        self._chains: list[StreamChain | None] = [None] * components
        self._runs: list[Run | None] = [None] * components
        self._seconds = [0.0] * components
        self.refused: dict[int, str] = {}
        """Component → why its data cannot be used (a rate that the model cannot take)."""

    def push(self, component: int, packet: Packet) -> None:
        """Take a packet of the component with this place in the manifest's order."""
        self._accept(self.aligner.push(component, packet))
        self._settle()

    def flush(self) -> None:
        """End of the stream."""
        self._accept(self.aligner.flush())
        self._settle()
        self.cutter.settle_all()

    @property
    def seconds(self) -> float:
        """Length of the longest component's samples so far."""
        return max(self._seconds)

    def _accept(self, chunks: list[Chunk]) -> None:
        for chunk in chunks:
            if chunk.restart:
                self._restart(chunk)
            chain, run = self._chains[chunk.component], self._runs[chunk.component]
            if chain is not None and run is not None:
                run.drift(chunk.drift_ns)
                run.append(chain.push(chunk.samples))
                self._seconds[chunk.component] += chunk.samples.size / chunk.sampling_rate

    def _restart(self, chunk: Chunk) -> None:
        component = chunk.component
        try:
            chain = self._preprocess.stream(chunk.sampling_rate)
        except DataError as error:
            self.refused[component] = str(error)
            self._chains[component] = self._runs[component] = None
            return
        chain.start(float(chunk.samples[0]))
        position = index_at(chunk.starttime_ns, self.cutter.rate) - self._lag_beside(component, chunk.starttime_ns)
        self._chains[component] = chain
        self._runs[component] = self.cutter.restart(component, position, chunk.starttime_ns, rate=chain.rate)

    def _lag_beside(self, component: int, time_ns: int) -> int:
        """Give the lag of the other components, beside which one that begins at a time has to stand.

        Where none goes on, places are those counted from the epoch: a stream that begins anew has no past.
        """
        others = (run for place, run in enumerate(self._runs) if place != component and run is not None)
        beside = next((run for run in others if time_ns - run.end_ns <= _LONGEST_BREAK_NS), None)
        return 0 if beside is None else beside.lag(self.cutter.rate)

    def _settle(self) -> None:
        lag: int | None = None
        for component, run in enumerate(self._runs):
            if component in self._absent:
                self.cutter.settle(component, max((each.end for each in self._runs if each is not None), default=0))
            elif run is None or self.aligner.is_silent(component):
                known = self.aligner.known_ns(component)
                if known is not None:
                    lag = self._newest_lag() if lag is None else lag
                    self.cutter.settle(component, index_at(known, self.cutter.rate) - lag)

    def _newest_lag(self) -> int:
        """Give the lag of the component that goes furthest: places up to there are what others lack or have."""
        newest = max((run for run in self._runs if run is not None), key=lambda run: run.end_ns, default=None)
        return 0 if newest is None else newest.lag(self.cutter.rate)


class LoadedModel:
    """A model with what its user chose, ready for stations.

    Parameters
    ----------
    thresholds
        Label → on threshold, for labels whose threshold is not the manifest's.
    stride
        Samples from window to window; None for the manifest's.

    Raises
    ------
    UsageError
        A threshold for a label that the model does not have, or a stride at which samples lie between the windows.
    """

    def __init__(self, session: Session, thresholds: dict[str, float], stride: int | None) -> None:
        self.session, self.manifest = session, session.manifest
        self.preprocess = Preprocess(session.manifest)
        self.stride = stride or session.manifest.stride_samples
        self.thresholds: dict[str, Threshold] = thresholds_with(session.manifest, thresholds)
        self.postprocess(_NOBODY)  # refuses a stride now, and not at a live station's first packet

    def postprocess(self, station: StationId) -> Postprocess:
        """Make what takes the model's outputs of a station."""
        return postprocess_of(
            self.manifest,
            station,
            model_digest=self.session.digest,
            thresholds=self.thresholds,
            stride=self.stride,
        )


class StationPicker:
    """A station's stream, a session and a postprocess put together.

    Parameters
    ----------
    session
        The model; shared by all stations.
    preprocess
        Of the same model.
    station
        Which station.
    stride
        Samples from window to window.
    thresholds
        For each label that is picked.
    batch
        Most windows in one call of the network.
    executor
        Runs the network and what comes just before it on several blocks at once. Results come later, in the same
        order.
    """

    def __init__(  # noqa: PLR0913 - all but three are settings, by keyword
        self,
        session: Session,
        preprocess: Preprocess,
        station: StationId,
        *,
        stride: int,
        thresholds: dict[str, Threshold],
        batch: int = 128,
        reorder_wait_s: float = 5.0,
        executor: Executor | None = None,
    ) -> None:
        self.stream = StationStream(preprocess, stride=stride, reorder_wait_s=reorder_wait_s)
        self._session, self._preprocess = session, preprocess
        self._stride, self._batch = stride, batch
        self._executor = executor
        self._running: deque[tuple[WindowBlock, Future[list[Float32]]]] = deque()
        self._postprocess = postprocess_of(
            session.manifest, station, model_digest=session.digest, thresholds=thresholds, stride=stride
        )

    def push(self, component: int, packet: Packet, *, at_least: int = 1) -> list[Result]:
        """Take a packet; run the windows that it completes once there are `at_least` so many."""
        self.stream.push(component, packet)
        results: list[Result] = []
        while self.stream.cutter.ready >= at_least:
            block = self.stream.cutter.take(self._batch)
            if block is None:
                break
            results += self._infer(block)
        return results

    def finish(self) -> list[Result]:
        """End of the stream: run what is left and close what is open."""
        self.stream.flush()
        results: list[Result] = []
        while block := self.stream.cutter.take(self._batch):
            results += self._infer(block)
        return [*results, *self._collect(most_left=0), *self._postprocess.finish()]

    def _infer(self, block: WindowBlock) -> Sequence[Result]:
        if self._executor is None:
            return self._postprocess.push(block.number, block.clock, self._outputs(block))
        self._running.append((block, self._executor.submit(self._outputs, block)))
        return self._collect(most_left=_MOST_RUNNING)

    def _outputs(self, block: WindowBlock) -> list[Float32]:
        return self._session.run(self._preprocess.windows(block.samples, count=block.count, stride=self._stride))

    def _collect(self, *, most_left: int) -> list[Result]:
        """Postprocess what is done, in order; wait until at most so many blocks are under way."""
        results: list[Result] = []
        while self._running and (len(self._running) > most_left or self._running[0][1].done()):
            block, outputs = self._running.popleft()
            results += self._postprocess.push(block.number, block.clock, outputs.result())
        return results
