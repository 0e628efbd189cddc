"""What would keep us from the work, found out by trying.

check.py        all of it, one finding for each     finding.py    what is told of one
reach.py        the way to each server              machine.py    disks, copies of the ledger, units
probe.py        trials in a mailbox for them        certify.py    what clients will make of edited messages
"""
