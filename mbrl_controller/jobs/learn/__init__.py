"""The learning loop: collect, train, evaluate, again; on disk, so that it can be interrupted and taken up again."""
