"""HTML bodies: a `Form`."""

from collections.abc import Iterator

from connector.rewrite.tokens import SPACE, Kind, Token, attributes, tokens, unescaped

#: A notice is one `<div data-redirect="ID">`, and no second div stands in it: the next end tag of a div is its own.
_ELEMENT = "div"
_ATTRIBUTE = "data-redirect"

#: What a browser takes in without beginning the body, and `<body>` itself.
_BEFORE = {
    Kind.START: frozenset({"base", "body", "head", "html", "link", "meta"}),
    Kind.END: frozenset({"base", "head", "link", "meta"}),
    Kind.RAW: frozenset({"script", "style", "title"}),
}
#: At the head of a document, decoded with the rest.
_BYTE_ORDER_MARK = "\ufeff"
#: Not shown, or not by every client, whatever tags stand in it.
_UNSEEN = frozenset({"noscript", "template"})


def wrapped(redirect_id: str, content: str) -> str:
    """`content` as the notice of this redirect."""
    return f'<{_ELEMENT} {_ATTRIBUTE}="{redirect_id}">{content}</{_ELEMENT}>'


def place(body: str) -> int:
    """Behind `<body>`, or before whatever else may show something or may be read in two ways.

    All that stands before it is complete, so it is live markup there, whatever comes after. It is never inside of
    Outlook's conditions (`<!--[if !mso]><!-->`), which would hide it from some clients.
    """
    at, condition, inside = 0, None, False
    for token in tokens(body):
        if not _goes_before(body, token):
            break
        condition = _condition(body, token, condition)
        inside = inside or token.name == "body"
        at = token.end
        if inside and condition is None:
            break
    return at if condition is None else condition


def extent(body: str, redirect_id: str) -> tuple[int, int] | None:
    """From the first `<div>` that names this redirect to the end tag of that div."""
    if redirect_id not in body:
        # Sooner told than by cutting megabytes into tokens.
        return None
    start = None
    for token in _seen(body):
        if token.name != _ELEMENT:
            continue
        if token.kind is Kind.START:
            start = token.start if attributes(body, token).get(_ATTRIBUTE) == redirect_id else None
        elif start is not None:
            return start, token.end
    return None


def links(body: str) -> Iterator[str]:
    """The targets of all `<a href>`, entities decoded."""
    anchors = (token for token in _seen(body) if token.kind is Kind.START and token.name == "a")
    return (unescaped(attributes(body, anchor).get("href", "")).strip(SPACE) for anchor in anchors)


def _seen(body: str) -> Iterator[Token]:
    """The tokens that every client shows."""
    unseen = ""
    for token in tokens(body):
        if not unseen and token.name not in _UNSEEN:
            yield token
        elif token.kind is Kind.START:
            unseen = unseen or token.name
        elif token.kind is Kind.END and token.name == unseen:
            unseen = ""


def _goes_before(body: str, token: Token) -> bool:
    """Whether a browser has seen nothing to show up to the end of this, and is outside of the body or at its start."""
    if token.kind is Kind.TEXT:
        return not body[token.start : token.end].strip(SPACE + _BYTE_ORDER_MARK)
    return token.kind is Kind.COMMENT or token.name in _BEFORE.get(token.kind, ())


def _condition(body: str, token: Token, outer: int | None) -> int | None:
    """Where the condition began that everything behind this token is subject to; None where there is none."""
    if token.kind is not Kind.COMMENT:
        return outer
    opens = body.find("[if", token.start, token.end) >= 0
    closes = body.find("endif]", token.start, token.end) >= 0
    if opens and not closes:
        return token.start if outer is None else outer
    return None if closes and not opens else outer
