"""The verbs: the only place where all the nouns meet."""
