"""What will they do next? One network reads a shopper's actions and foretells what follows.

``config``, ``streams``, ``requests`` and ``served`` stand without PyTorch, and so does whoever
serves; ``network``, ``losses``, ``fitting``, ``exporting`` and ``torch_encoder`` train it.
"""

from habitue.behaviour.config import SIZES, BehaviourConfig, sized
from habitue.behaviour.streams import Streams, Windows, streams_of

__all__ = ["SIZES", "BehaviourConfig", "Streams", "Windows", "sized", "streams_of"]
