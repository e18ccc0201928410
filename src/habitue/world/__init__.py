"""What if? A simulated shop with known truth that talks to Habitué only as any shop would."""

from habitue.world.config import WorldConfig
from habitue.world.truth import Truth
from habitue.world.world import Ingests, Slate, World, build_world

__all__ = ["Ingests", "Slate", "Truth", "World", "WorldConfig", "build_world"]
