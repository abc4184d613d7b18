"""`make bench`: what the gateway does, each figure beside the limit measured in the same run."""
