"""Reports about one piece of equipment over a period: what it was, when it was out of range, and what is not known."""
