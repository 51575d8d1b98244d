"""The property test: many producers, transactions and groups at once, faults between, and a judge of the history. README.md"""
