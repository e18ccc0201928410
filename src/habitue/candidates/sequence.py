"""What comes next, by a network that reads a shopper's actions in order.

``behaviour`` trains the network; here it proposes. The query after the last action is compared with
a vector of every item, and items that came after training have one by what is told of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from habitue.behaviour.going_on import Earlier
from habitue.behaviour.held_out import HeldOut
from habitue.behaviour.requests import Read, RequestReader
from habitue.behaviour.returning import HEAD_FIGURES, NetworkForetold
from habitue.behaviour.said import SaidReader
from habitue.behaviour.served import Encoder, OnnxEncoder, load_encoder
from habitue.behaviour.transfer import Pretrained
from habitue.candidates.compact import Compact
from habitue.candidates.contract import Prepared, PreparingSource, Source, TrainingFacts
from habitue.candidates.generating import Generated, generate
from habitue.candidates.item_prices import ItemPrices, currency_of, listed_prices
from habitue.candidates.item_space import ItemSpace, told_of
from habitue.candidates.item_tail import ItemTail
from habitue.candidates.layout import sealed
from habitue.candidates.profile import codes_of
from habitue.candidates.saved import Saved, read, read_weights, write, write_weights
from habitue.candidates.search import ItemSearch, Sought, Without
from habitue.candidates.sequence_config import SequenceConfig
from habitue.candidates.vectors import units
from habitue.errors import BadInput, SnapshotError
from habitue.facts import NAMES, NO_ROW, Catalogue, Context, Vocabulary

__all__ = ["SequenceConfig", "SequenceLearner", "SequenceSource"]

_ASKED = 256  # queries that recall is measured with
_NAMES = "names.json"


class SequenceSource(PreparingSource):
    """Scores an item by its cosine with what the network expects next, over the temperature."""

    def __init__(
        self,
        config: SequenceConfig,
        encoder: Encoder,
        search: ItemSearch,
        read: NDArray[np.float32] | Compact,
        told: NDArray[np.float32],
        space: ItemSpace | None,
        measured: dict[str, float],
        *,
        weights: Mapping[str, NDArray[Any]] | None = None,
        until_ms: int = 0,
        tail: ItemTail | None = None,
        names: Vocabulary | None = None,
        prices: ItemPrices | None = None,
    ) -> None:
        """``read`` (n_items, dim) are the vectors items are read by; unit ones are searched.

        ``told`` (c, dim) makes such a vector of what is told of an item, in the ``space``.
        ``weights`` are what a later training goes on from, to which all from ``until_ms`` on is
        new; none where it cannot. ``names`` are those behind the codes of what requests say,
        ``prices`` the steps of the items' prices, where the network reads those.
        """
        self.config = config
        self.name = config.name
        self.encoder = encoder
        self.search = search
        self.read = read if isinstance(read, Compact) else sealed(read, np.float32)
        self.told = sealed(told, np.float32)
        self.space = space
        self.measured = measured
        self.weights = {} if weights is None else weights
        self.until_ms = until_ms
        self._tail = ItemTail.none(search.dim) if tail is None else tail
        self.names = Vocabulary() if names is None else names
        self.prices = prices
        behaviour = config.behaviour
        words_of = None if space is None else space.of_words
        said = SaidReader(encoder.hears, self.names, words_of) if encoder.hears else None
        priced = None if prices is None else prices.read
        self._reader = RequestReader(codes_of(behaviour.kinds), behaviour.length, said, priced)

    def queries(self, context: Context) -> NDArray[np.float32]:
        """What is expected next of each request: (B, dim), 0 where nothing is known."""
        return self._asked(self._reader.read(context))

    def ndcg(self, held_out: HeldOut) -> float:
        """NDCG@10 of what shoppers did next, asked of what serves."""
        return held_out.ndcg(self._asked(held_out.tokens), self.search.everything())

    @property
    def foretells(self) -> bool:
        """Whether the network was taught more than the next item."""
        return self.config.behaviour.head_weights.any

    def foretold(self, context: Context) -> NetworkForetold | None:
        """What the network foretells of each request beside the next item.

        None where nothing is known of any, and where the network was not taught it.
        """
        weights, tokens = self.config.behaviour.head_weights, self._reader.read(context)
        known = tokens.end >= 0
        if not weights.any or not known.any():
            return None
        tokens = tokens.take(np.flatnonzero(known))
        told = self.encoder.told(self._vectors_of(tokens.item_row), tokens)
        if told is None:
            return None
        return NetworkForetold(
            self.name,
            known,
            tuple(NAMES[code] for code in self.config.behaviour.codes),
            told.kind if weights.next_kind else None,
            told.comes.astype(np.float64) if weights.comes_back else None,
            {name: self.measured[name] for name in HEAD_FIGURES if name in self.measured},
        )

    def vectors(self, context: Context) -> NDArray[np.float32]:
        """The unit vector (B, dim) of each request's shopper; 0 where nothing is known."""
        return units(self.queries(context))

    def _asked(self, tokens: Read) -> NDArray[np.float32]:
        query = np.zeros((len(tokens.end), self.search.dim), np.float32)
        some = np.flatnonzero(tokens.end >= 0)
        if len(some):
            tokens = tokens.take(some)
            query[some] = self.encoder.queries(self._vectors_of(tokens.item_row), tokens)
        return query

    def _listed(
        self, tokens: Read, query: NDArray[np.float32], had: NDArray[np.int32]
    ) -> NDArray[np.int32]:
        """The list (B, slots) generated for each request, whose first ``query`` (B, dim) is."""
        slots = self.config.behaviour.listing.slots
        listed = np.full((len(query), slots), NO_ROW, np.int32)
        some = np.flatnonzero(tokens.end >= 0)
        if not len(some):
            return listed
        tokens, query = tokens.take(some), query[some]
        vectors = self._vectors_of(tokens.item_row)
        later = replace(tokens, waiting=np.zeros_like(tokens.waiting))  # nobody knows when

        def asked(before: NDArray[np.int32]) -> NDArray[np.float32]:
            if not before.shape[1]:
                return query
            return self.encoder.queries(vectors, later, self._vectors_of(before))

        listed[some] = generate(asked, self.search, had[some], slots)
        return listed

    def _vectors_of(self, item_row: NDArray[np.int32]) -> NDArray[np.float32]:
        n_base = self.n_fitted
        known = (item_row >= 0) & (item_row < n_base)
        if known.all():
            return self.read_vectors(item_row)
        vectors = np.zeros((*item_row.shape, self.search.dim), np.float32)
        vectors[known] = self.read_vectors(item_row[known])
        later = (item_row >= n_base) & (item_row < n_base + len(self._tail.read))
        vectors[later] = self._tail.read.rows[item_row[later] - n_base]
        return vectors

    def read_vectors(self, item_row: NDArray[np.integer]) -> NDArray[np.float32]:
        """What fitted items (...) are read by: (..., dim)."""
        if isinstance(self.read, Compact):
            return self.read.rows(item_row)
        return np.asarray(self.read[item_row])

    def vector_of(self, items: pl.DataFrame) -> NDArray[np.float32]:
        """Vectors (n, dim) of items nobody has acted on, from the columns of a catalogue."""
        if self.space is None:
            return np.zeros((items.height, self.search.dim), np.float32)
        return np.asarray(self.space.vectors(items) @ self.told, np.float32)

    @property
    def n_fitted(self) -> int:
        """Rows it was fitted on."""
        return len(self.read)

    def extend(self, catalogue_tail: Catalogue) -> SequenceSource:
        """A source that also knows these items, whose rows lie beyond the fitted ones.

        An item costs its words; the tail is copied where an item in it now reads otherwise.
        """
        tail = self._tail.with_items(catalogue_tail, self.n_fitted, self.vector_of)
        prices = None if self.prices is None else self.prices.with_items(catalogue_tail)
        if tail is self._tail and prices is self.prices:
            return self
        return SequenceSource(
            self.config, self.encoder, self.search.with_tail(tail.unit.rows), self.read,
            self.told, self.space, self.measured,
            weights=self.weights, until_ms=self.until_ms, tail=tail, names=self.names,
            prices=prices,
        )  # fmt: skip

    def prepare(self, context: Context) -> Prepared:
        """What is expected next of each request."""
        tokens = self._reader.read(context)
        query = self._asked(tokens)
        had = self._had(tokens)
        sought: Prepared = Sought(self.search, query)
        behaviour = self.config.behaviour
        if behaviour.encoder == "encoder-decoder" and behaviour.listing.slots > 1:
            listed = self._listed(tokens, query, had)
            sought = Generated(sought, listed, 1 / behaviour.served().loss.temperature)
        return Without(sought, had) if had.shape[1] else sought

    def _had(self, tokens: Read) -> NDArray[np.int32]:
        """What is not proposed (B, L): the items read, where training left them out, too."""
        if not self.measured.get("own_past_left_out"):
            return np.empty((len(tokens.end), 0), np.int32)
        return tokens.had

    def in_eight_bits(self) -> SequenceSource:
        """The same in a fifth of the memory; made where networks are trained, not where they serve.

        The weights of its graph and the directions of the item vectors become whole numbers.
        """
        from habitue.behaviour.quantising import in_eight_bits

        read = Compact.of(self.read_vectors(np.arange(self.n_fitted)))
        row, asked, vectors = self.search.index.row, self.search.asked, self.config.vectors
        search = ItemSearch.build(self.search.everything(), row, asked, vectors, read)
        graphs = {name: in_eight_bits(one) for name, one in self.encoder.graphs().items()}
        encoder = OnnxEncoder(graphs) if graphs else self.encoder
        return SequenceSource(
            self.config.model_copy(update={"precision": "int8"}), encoder, search, read, self.told,
            self.space, {**self.measured, **search.measured}, weights=self.weights,
            until_ms=self.until_ms, names=self.names, prices=self.prices,
        )  # fmt: skip

    def save(self, path: Path) -> None:
        """Write the model, its graph for ONNX Runtime included, into the folder ``path``."""
        self.search.save(path)
        if self.space is not None:
            self.space.save(path / "space")
        for name, graph in self.encoder.graphs().items():
            (path / f"{name}.onnx").write_bytes(graph)
        write_weights(path, self.weights)
        self.names.save(path / _NAMES)
        saved = Saved(
            source="sequence",
            config=self.config.model_dump(mode="json"),
            numbers={
                **self.search.numbers(),
                "content": int(self.space is not None),
                "until_ms": self.until_ms,
            },
            measured=self.measured,
        )
        kept = self.read.arrays() if isinstance(self.read, Compact) else {"read": self.read}
        priced = {} if self.prices is None else self.prices.save(path)
        write(path, saved, {**self.search.arrays(), **kept, **priced, "told": self.told})

    @classmethod
    def load(cls, path: Path) -> Self:
        """The model written there, its vectors memory-mapped."""
        saved, arrays = read(path, "sequence")
        config = SequenceConfig.model_validate(saved.config)
        search = ItemSearch.load(path, arrays, saved.numbers, saved.measured["recall_at_100"])
        space = ItemSpace.load(path / "space", config.space) if saved.numbers["content"] else None
        read_by = arrays["read"] if "read" in arrays else search.compacted(arrays["length"])
        return cls(
            config, load_encoder(path), search, read_by,
            arrays["told"], space, saved.measured, weights=read_weights(path),
            until_ms=saved.numbers.get("until_ms", 0),
            names=Vocabulary.load(path / _NAMES) if (path / _NAMES).exists() else None,
            prices=ItemPrices.load(path, arrays),
        )  # fmt: skip


class SequenceLearner:
    """Trains the network on all streams; the extra ``deep`` brings what it needs."""

    def __init__(self, config: SequenceConfig) -> None:
        self.config = config

    def fit(self, facts: TrainingFacts, rng: np.random.Generator) -> SequenceSource:
        """The source of these facts. Raises ``MissingPiece`` where PyTorch is not installed."""
        return self._learnt(facts, rng, None)

    def go_on(
        self, source: Source, facts: TrainingFacts, rng: np.random.Generator
    ) -> SequenceSource:
        """As ``fit``, beginning from a ``source`` of earlier facts: in a third of the time.

        Begins anew where that one is of another kind. What is told of items is read as it was.
        """
        if not isinstance(source, SequenceSource) or source.config != self.config:
            return self.fit(facts, rng)
        return self._learnt(facts, rng, source if source.weights else None)

    def went_on(self, source: Source) -> bool:
        """Whether a source it learnt began where another had ended."""
        return isinstance(source, SequenceSource) and bool(source.measured.get("went_on"))

    def _learnt(
        self, facts: TrainingFacts, rng: np.random.Generator, source: SequenceSource | None
    ) -> SequenceSource:
        from habitue.behaviour.learning import learn

        config = self.config
        other = _other_shop(config) if source is None else None
        n_items = max(facts.log.n_items, len(facts.catalogue))
        space, content = None, None
        if config.behaviour.content:
            before = other if source is None else source
            told = None if before is None else before.space
            space, content = told_of(facts.catalogue, n_items, config.space, rng, told)
        if other is not None and content is None:
            raise BadInput(
                f"Nothing is told of the items of this shop that the network in "
                f"{config.begin_from} knows of.",
                remedy="Post items with titles, or leave begin_from out.",
            )
        known = None if source is None else source.prices
        currency, listed = "", np.zeros(n_items, np.int64)
        if config.behaviour.price_steps:
            frame = facts.catalogue.frame
            currency = currency_of(frame) if known is None else known.currency
            listed[: len(facts.catalogue)] = listed_prices(frame, currency)
        learnt = learn(
            facts.log,
            n_items,
            config.behaviour,
            content=content,
            validation_share=config.validation_share,
            rng=rng,
            checkpoints=config.checkpoints,
            curves=config.curves,
            pretrained=None
            if other is None
            else Pretrained(other.told, other.weights, other.names),
            earlier=None
            if source is None
            else Earlier(
                source.read_vectors(np.arange(source.n_fitted)), source.weights, source.until_ms,
                source.names, None if known is None else known.steps.cuts,
            ),
            words_of=None if space is None else space.of_words,
            listed=listed,
        )  # fmt: skip
        acted_on = np.flatnonzero(learnt.acted_on | learnt.read.any(axis=1)).astype(np.int32)
        asked = learnt.queries[: max(_ASKED, config.vectors.measured_queries)]
        search = ItemSearch.build(units(learnt.read), acted_on, asked, config.vectors)
        made = SequenceSource(
            config, learnt.encoder, search, learnt.read, learnt.told, space,
            {**learnt.measured, **search.measured}, weights=learnt.weights,
            until_ms=facts.now_ms, names=learnt.names,
            prices=None if learnt.prices is None else ItemPrices.of(learnt.prices, currency),
        )  # fmt: skip
        if config.precision == "full":
            return made
        small = made.in_eight_bits()
        if learnt.held_out is not None:
            small.measured["int8_ndcg@10"] = small.ndcg(learnt.held_out)
        return small


def _other_shop(config: SequenceConfig) -> SequenceSource | None:
    """The source of another shop to begin from, where the config names one.

    Raises ``BadInput`` where it has another width or knows nothing of what is told of items.
    """
    if config.begin_from is None:
        return None
    try:
        other = SequenceSource.load(config.begin_from)
    except SnapshotError as problem:
        raise BadInput(
            f"begin_from of {config.name!r} cannot be read: {problem.message}",
            remedy="Name the folder of a source sequence: <snapshots>/<id>/sources/<name>.",
        ) from problem
    said = config.behaviour
    if other.space is None or not len(other.told) or other.search.dim != said.dim:
        raise BadInput(
            f"The network in {config.begin_from} (dim {other.search.dim}) cannot be adapted to "
            f"{config.name!r} (dim {said.dim}).",
            remedy="Both need content = true, items with titles, and the same dim.",
        )
    return other
