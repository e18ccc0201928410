"""How good is each? Features of candidates, the ranker that reads them, and reasons."""
