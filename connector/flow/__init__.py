"""What happens to an item, step by step. Knows the two ports, never an adapter; no thread, and no sleep.

redirect.py     tick, advance, and the four steps                     <- read this first
turn.py         one tick's grip on one source
discover.py     what is new becomes plans           ask.py        the policy, asked with all that it wants to know
backfill.py     what is older than first contact    decisions.py  what people decide about redirects
restore.py      undo: the same steps backwards      replace.py    a copy takes the place of a message
retention.py    the end of files                    sweep.py      what is to be deleted
erasure.py      nothing of a person is to be kept
reactions.py    what happens when a step does not go through
timekeeping.py, admission.py, proofs.py             brakes: the clock, who can read, what a server was seen to do
manifest.py     what the store itself knows         letters.py    messages of ours to owners
"""
