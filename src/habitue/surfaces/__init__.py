"""What does the shopper meet? One file a place: home, item, cart, fresh, popular and so on."""

from habitue.surfaces.config import SurfaceConfig, SurfacesConfig
from habitue.surfaces.slate import SlateAnswer, Slot, SurfaceRequest

__all__ = ["SlateAnswer", "Slot", "SurfaceConfig", "SurfaceRequest", "SurfacesConfig"]
