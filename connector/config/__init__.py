"""What administrators write, and how it is read: every problem at once, with its place.

loading.py      connector.yaml and all tenants, as a whole; knows all adapters
settings.py     connector.yaml alone
yamlfile.py     plain values, and where they stand  problems.py   `file:line:column field: what is wrong`
credentials.py  where secrets are, never what       addresses.py  of servers
exports.py, readers.py, csvfile.py                  lists: groups, holds, databases; whose mailboxes are
"""
