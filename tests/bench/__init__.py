"""The judge of speed: what `connector` costs, next to the least that it could cost.

`python -m tests.bench` measures all of it; it takes some minutes. What is counted is CPU time of the client process alone
(user and system, `getrusage`): servers run in processes of their own, and a busy machine changes little.
"""
