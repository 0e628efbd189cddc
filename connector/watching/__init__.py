"""What operators see, beside the log.

account.py      one line for each redirect that ends
counters.py     what the process has counted        metrics.py    what Prometheus is told
health.py       where: /metrics, /healthz, /readyz  status.py     how everything is, for people and scripts
certificates.py when what opens doors comes to its end
"""
