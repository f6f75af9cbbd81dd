"""The dataset doctor: a survey of a source in one walk, what was found in it, and which settings fit."""
