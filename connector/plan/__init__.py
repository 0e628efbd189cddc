"""What the policy would do, told before it does it: `connector plan`.

look.py     each item of a source, judged as a turn judges it, with requests that only read
sums.py     what that comes to: for mailboxes, departments, rules, types, senders; room, links, shares
robots.py   mailboxes that look as if a program read them
tables.py   the sums as rows, without those of few people
page.py     the same on one page of HTML, with charts
"""
