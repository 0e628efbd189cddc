"""The process that does the work, its threads and its clock.

service.py      the scheduler, signals, and the end
desk.py         where one tenant is worked for      tenants.py    tenants and mailboxes at work
turns.py        who has a thread now, or next       rota.py       whose time it is
listener.py     where servers tell what happens     sample.py     every night, some of what is done is looked at again
process.py      the clock, one process for a state folder, systemd
"""
