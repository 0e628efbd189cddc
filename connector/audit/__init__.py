"""The audit trail for others: exported, anchored outside, verified, and asked about a person."""
