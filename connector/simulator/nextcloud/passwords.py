"""What passwords must be (facts, 3)."""

import secrets

_COMMON = ("password", "password123", "abc", "123456")


def why_not(password: str, shortest: int) -> str:
    """What the policy says against a password; "" where nothing."""
    problems = []
    if password.lower() in _COMMON:
        problems.append("Password is among the 1,000,000 most common ones. Please make it unique.")
    if len(password) < shortest:
        problems.append(f"Password needs to be at least {shortest} characters long.")
    return " ".join(problems)


def judged(password: str, shortest: int) -> dict[str, object]:
    """What a client hears that asks beforehand."""
    wrong = why_not(password, shortest)
    return {"passed": not wrong, "reason": wrong}


def made(shortest: int) -> str:
    """Only as long as the policy asks for."""
    return secrets.token_urlsafe(shortest)[:shortest]
