"""The recogniser: a few labelled clips to a model, recordings to labels with probabilities."""
