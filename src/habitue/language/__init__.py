"""What does text say? Tokens, for now: English words and Chinese, Japanese characters."""
