"""What a tenant wants: one verdict for each file of a message. Pure: the same input gives the same verdict.

  guards    first, and no rule overrides them (`connector.guards`): signed, encrypted, private, already ours, ...
  rules     from the top; the first that matches a file decides about it
  neither   the file is kept

Within one condition any value of its list will do. In `when` all conditions must hold. In `unless` any one that holds
skips the rule, as the exceptions of an Exchange mail flow rule do.
"""

from connector.policy.case import HEAD, Facts, Hold
from connector.policy.conditions import Conditions
from connector.policy.exclude import Exclude
from connector.policy.explained import Asked, Considered, Explained, explained
from connector.policy.people import People, Wish
from connector.policy.rules import Defaults, Mode, Pilot, Policy, Rule, Rules, all_reached
from connector.policy.verdicts import decide

__all__ = [
    "HEAD",
    "Asked",
    "Conditions",
    "Considered",
    "Defaults",
    "Exclude",
    "Explained",
    "Facts",
    "Hold",
    "Mode",
    "People",
    "Pilot",
    "Policy",
    "Rule",
    "Rules",
    "Wish",
    "all_reached",
    "decide",
    "explained",
]
