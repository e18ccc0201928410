"""How is a slate made? From contexts to filled slots, alike in serving, training and evaluation."""
