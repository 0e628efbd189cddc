"""EWS, as Exchange 2016 speaks it."""
