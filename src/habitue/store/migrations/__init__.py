"""How a store written by an older Habitué becomes one of today."""
