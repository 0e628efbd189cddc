"""What a notice says, in each language. Facts of wording: a sentence may claim only what is true for every notice.

Words in braces are filled in by `connector.rewrite.wording`. "One" and "many" count files.
"""

from dataclasses import dataclass
from typing import Literal

Code = Literal["de", "en", "fr", "nl"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Language:
    """The words of one language."""

    file: str
    size: str
    until: str
    #: For the owner of the message.
    kept_one: str
    kept_many: str
    #: Only where no link ends.
    stays_one: str
    stays_many: str
    #: Only where a retention ends.
    until_one: str
    until_many: str
    #: Of a tombstone: what became of files whose retention has ended, and the same in one word.
    ended_one: str
    ended_many: str
    deleted: str
    #: For those to whom the message is forwarded: where a link opens for whoever may log in at the store.
    colleague: str
    outsider: str
    #: The same, where a link opens for all staff.
    staff: str
    stranger: str
    #: The same for both, where a link opens only for whom the mailbox belongs to.
    closed: str
    #: Ends in the address: a full stop behind it would become part of the link.
    genuine: str
    help: str
    #: Of the letter that tells an owner the passwords of links.
    letter_subject: str
    letter_asks: str
    letter_tell: str
    #: Of the letter that tells an owner which links end soon; the second, where there are pages on which they last.
    letter_ends_subject: str
    letter_ends: str
    letter_last: str
    #: Of the letter that tells an owner what is held.
    letter_held_subject: str
    letter_held: str
    #: Of numbers.
    comma: str
    #: Bytes, and thousand times as many, and so on.
    units: tuple[str, ...]


LANGUAGES: dict[Code, Language] = {
    "de": Language(
        file="Datei",
        size="Größe",
        until="Gültig bis",
        kept_one="Ein Anhang dieser Nachricht ({size}) liegt unverändert in {product}.",
        kept_many="{count} Anhänge dieser Nachricht ({size}) liegen unverändert in {product}.",
        stays_one="Er bleibt dort, solange diese Nachricht besteht.",
        stays_many="Sie bleiben dort, solange diese Nachricht besteht.",
        until_one="Er bleibt dort bis {day} und wird dann gelöscht.",
        until_many="Sie bleiben dort bis {day} und werden dann gelöscht.",
        ended_one="Ein Anhang dieser Nachricht ({size}) lag bis {day} in {product}. Er ist gelöscht.",
        ended_many=("{count} Anhänge dieser Nachricht ({size}) lagen bis {day} in {product}. Sie sind gelöscht."),
        deleted="gelöscht",
        colleague=(
            "An Sie weitergeleitet? Melden Sie sich wie gewohnt bei {product} an: Sie öffnen jede Datei, "
            "auf die Sie Zugriff haben."
        ),
        outsider=(
            "Nicht bei {organisation}? Eine Datei kann nur öffnen, wer sich bei {product} anmelden kann. "
            "Wenn Sie eine brauchen, antworten Sie bitte auf diese Nachricht."
        ),
        staff="An Sie weitergeleitet? Beschäftigte von {organisation} öffnen die Links mit ihrer üblichen Anmeldung.",
        stranger=(
            "Nicht bei {organisation}? Diese Links gelten nur intern. "
            "Bitte antworten Sie auf diese Nachricht und bitten Sie um Freigabe."
        ),
        closed=(
            "An Sie weitergeleitet? Diese Links öffnen nur für die, denen das Postfach gehört. "
            "Wenn Sie eine Datei brauchen, antworten Sie bitte auf diese Nachricht."
        ),
        genuine="Echte Links beginnen immer mit https://{host}/",
        help="Hilfe: {desk}",
        letter_subject="Passwort für Dateien aus einer Nachricht",
        letter_asks="Die Links in Ihrer Nachricht „{subject}“ fragen nach diesem Passwort:",
        letter_tell="Geben Sie es auf einem anderen Weg weiter als die Links, etwa am Telefon.",
        letter_ends_subject="Links in Ihren Nachrichten laufen bald ab",
        letter_ends="Die Links in diesen Nachrichten gelten nur noch bis zu dem Tag, der jeweils davor steht.",
        letter_last="Verlängern können Sie einen Link auf der Seite, die darunter steht.",
        letter_held_subject="Anhänge, die auf eine Entscheidung warten",
        letter_held=(
            "Die Anhänge dieser Nachrichten warten auf eine Entscheidung der Stelle, die {product} betreut. "
            "Bis dahin ändert sich an den Nachrichten nichts. Sie müssen nichts tun."
        ),
        comma=",",
        units=("Byte", "kB", "MB", "GB", "TB"),
    ),
    "en": Language(
        file="File",
        size="Size",
        until="Available until",
        kept_one="An attachment of this message ({size}) is kept unchanged in {product}.",
        kept_many="{count} attachments of this message ({size}) are kept unchanged in {product}.",
        stays_one="It stays there as long as this message does.",
        stays_many="They stay there as long as this message does.",
        until_one="It stays there until {day} and is then deleted.",
        until_many="They stay there until {day} and are then deleted.",
        ended_one="An attachment of this message ({size}) was kept in {product} until {day}. It has been deleted.",
        ended_many=(
            "{count} attachments of this message ({size}) were kept in {product} until {day}. They have been deleted."
        ),
        deleted="deleted",
        colleague=("Forwarded to you? Sign in to {product} as usual: you can open every file that you have access to."),
        outsider=(
            "Not at {organisation}? Only people who can sign in to {product} can open a file. "
            "If you need one, please reply to this message."
        ),
        staff="Forwarded to you? Staff of {organisation} open the links with their usual sign-in.",
        stranger="Not at {organisation}? These links are internal. Please reply to this message and ask for access.",
        closed=(
            "Forwarded to you? These links open only for the people the mailbox belongs to. "
            "If you need a file, please reply to this message."
        ),
        genuine="Genuine links always start with https://{host}/",
        help="Help: {desk}",
        letter_subject="Password for files of a message",
        letter_asks='The links in your message "{subject}" ask for this password:',
        letter_tell="Pass it on by another route than the links, by phone for instance.",
        letter_ends_subject="Links in your messages are about to end",
        letter_ends="The links in these messages work only until the date shown in front of each message.",
        letter_last="To extend a link, open the page shown below its message.",
        letter_held_subject="Attachments waiting for a decision",
        letter_held=(
            "The attachments of these messages are waiting for a decision by the people who look after {product}. "
            "Until then, nothing changes in the messages. You do not have to do anything."
        ),
        comma=".",
        units=("bytes", "kB", "MB", "GB", "TB"),
    ),
    "fr": Language(
        file="Fichier",
        size="Taille",
        until="Accessible jusqu'au",
        kept_one="Une pièce jointe de ce message ({size}) est conservée sans modification dans {product}.",
        kept_many="{count} pièces jointes de ce message ({size}) sont conservées sans modification dans {product}.",
        stays_one="Elle y reste tant que ce message existe.",
        stays_many="Elles y restent tant que ce message existe.",
        until_one="Elle y reste jusqu'au {day}, puis elle sera supprimée.",
        until_many="Elles y restent jusqu'au {day}, puis elles seront supprimées.",
        ended_one=(
            "Une pièce jointe de ce message ({size}) a été conservée dans {product} jusqu'au {day}. "
            "Elle a été supprimée."
        ),
        ended_many=(
            "{count} pièces jointes de ce message ({size}) ont été conservées dans {product} jusqu'au {day}. "
            "Elles ont été supprimées."
        ),
        deleted="supprimé",
        colleague=(
            "Ce message vous a été transféré\u00a0? Connectez-vous à {product} comme d'habitude\u00a0: "
            "vous pouvez ouvrir tout fichier auquel vous avez accès."
        ),
        outsider=(
            "Vous ne faites pas partie de {organisation}\u00a0? Pour ouvrir un fichier, il faut pouvoir se connecter à "
            "{product}. Si vous en avez besoin, merci de répondre à ce message."
        ),
        staff=(
            "Ce message vous a été transféré\u00a0? Le personnel de {organisation} ouvre les liens "
            "avec sa connexion habituelle."
        ),
        stranger=(
            "Vous ne faites pas partie de {organisation}\u00a0? Ces liens sont internes. "
            "Merci de répondre à ce message pour demander l'accès."
        ),
        closed=(
            "Ce message vous a été transféré\u00a0? Ces liens ne s'ouvrent que pour les titulaires de la boîte aux "
            "lettres. Si vous avez besoin d'un fichier, merci de répondre à ce message."
        ),
        genuine="Les liens authentiques commencent toujours par https://{host}/",
        help="Aide\u00a0: {desk}",
        letter_subject="Mot de passe pour les fichiers d'un message",
        letter_asks="Les liens de votre message «\u00a0{subject}\u00a0» demandent ce mot de passe\u00a0:",
        letter_tell="Communiquez-le par une autre voie que les liens, par téléphone par exemple.",
        letter_ends_subject="Des liens de vos messages expirent bientôt",
        letter_ends="Les liens de ces messages ne sont valables que jusqu'à la date indiquée devant chaque message.",
        letter_last="Pour prolonger un lien, ouvrez la page indiquée sous son message.",
        letter_held_subject="Pièces jointes en attente d'une décision",
        letter_held=(
            "Les pièces jointes de ces messages attendent une décision du service qui gère {product}. "
            "D'ici là, rien ne change dans ces messages. Vous n'avez rien à faire."
        ),
        comma=",",
        units=("octets", "ko", "Mo", "Go", "To"),
    ),
    "nl": Language(
        file="Bestand",
        size="Grootte",
        until="Geldig tot",
        kept_one="Een bijlage van dit bericht ({size}) staat ongewijzigd in {product}.",
        kept_many="{count} bijlagen van dit bericht ({size}) staan ongewijzigd in {product}.",
        stays_one="Deze blijft daar zolang dit bericht bestaat.",
        stays_many="Ze blijven daar zolang dit bericht bestaat.",
        until_one="Deze blijft daar tot {day} en wordt dan verwijderd.",
        until_many="Ze blijven daar tot {day} en worden dan verwijderd.",
        ended_one="Een bijlage van dit bericht ({size}) stond tot {day} in {product}. Deze is verwijderd.",
        ended_many=("{count} bijlagen van dit bericht ({size}) stonden tot {day} in {product}. Ze zijn verwijderd."),
        deleted="verwijderd",
        colleague=(
            "Is dit bericht aan u doorgestuurd? Meld u zoals gewoonlijk aan bij {product}: u kunt elk bestand openen "
            "waartoe u toegang hebt."
        ),
        outsider=(
            "Niet van {organisation}? Alleen wie zich bij {product} kan aanmelden, kan een bestand openen. "
            "Hebt u er een nodig, beantwoord dan dit bericht."
        ),
        staff=(
            "Is dit bericht aan u doorgestuurd? Medewerkers van {organisation} openen de links "
            "met hun gebruikelijke aanmelding."
        ),
        stranger="Niet van {organisation}? Deze links zijn alleen intern. Beantwoord dit bericht en vraag om toegang.",
        closed=(
            "Is dit bericht aan u doorgestuurd? Deze links openen alleen voor wie de mailbox toebehoort. "
            "Hebt u een bestand nodig, beantwoord dan dit bericht."
        ),
        genuine="Echte links beginnen altijd met https://{host}/",
        help="Hulp: {desk}",
        letter_subject="Wachtwoord voor bestanden uit een bericht",
        letter_asks='De links in uw bericht "{subject}" vragen om dit wachtwoord:',
        letter_tell="Geef het langs een andere weg door dan de links, bijvoorbeeld per telefoon.",
        letter_ends_subject="Links in uw berichten lopen binnenkort af",
        letter_ends="De links in deze berichten werken nog tot de dag die voor elk bericht staat.",
        letter_last="Wilt u een link verlengen, open dan de pagina die onder het bericht staat.",
        letter_held_subject="Bijlagen die op een besluit wachten",
        letter_held=(
            "De bijlagen van deze berichten wachten op een besluit van de beheerders van {product}. "
            "Tot die tijd verandert er niets aan de berichten. U hoeft niets te doen."
        ),
        comma=",",
        units=("bytes", "kB", "MB", "GB", "TB"),
    ),
}


def human_size(size: int, language: Language) -> str:
    """A count of bytes as people of this language write it, in powers of 1000: `1.5 MB`."""
    value, unit = float(size), 0
    # What would be rounded to 1000 is told in the next unit.
    while value >= 999.5 and unit < len(language.units) - 1:  # noqa: PLR2004
        value, unit = value / 1000, unit + 1
    digits = 1 if unit and value < 9.95 else 0  # noqa: PLR2004
    return f"{value:.{digits}f}".replace(".", language.comma) + f"\u00a0{language.units[unit]}"
