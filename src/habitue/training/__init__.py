"""How do models come to be? Facts up to a watermark and a config become a snapshot."""
