"""Links of our own, for stores that cannot share: signed, ending, revocable; and the pages that they open.

Two processes share one small database, the *book*. The daemon publishes and revokes there what messages show; the pages
are another process, of another user, which faces the people who open links: it sees no ledger, no mailbox and no key,
and reads the store with a login that can do nothing else.
"""
