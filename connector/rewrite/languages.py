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
        until="Öffnet bis",
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
            "An Sie weitergeleitet? Mit Ihrer üblichen Anmeldung an {product} öffnen Sie jede Datei, "
            "für die Sie ein Recht haben."
        ),
        outsider=(
            "Nicht bei {organisation}? Eine Datei öffnet nur, wer sich an {product} anmelden kann. "
            "Bitte antworten Sie und fragen Sie danach."
        ),
        genuine="Echte Links beginnen immer mit https://{host}/",
        help="Hilfe: {desk}",
        letter_subject="Passwort für Dateien aus einer Nachricht",
        letter_asks="Die Links in Ihrer Nachricht „{subject}“ fragen nach diesem Passwort:",
        letter_tell="Geben Sie es auf einem anderen Weg weiter als die Links, am Telefon etwa.",
        letter_ends_subject="Links in Ihren Nachrichten enden bald",
        letter_ends="Die Links in diesen Nachrichten öffnen nur noch bis zu dem Tag, der davor steht.",
        letter_last="Länger offen halten können Sie einen Link auf der Seite, die darunter steht.",
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
        until="Opens until",
        kept_one="An attachment of this message ({size}) is kept unchanged in {product}.",
        kept_many="{count} attachments of this message ({size}) are kept unchanged in {product}.",
        stays_one="It stays there as long as this message does.",
        stays_many="They stay there as long as this message does.",
        until_one="It stays there until {day}, and is deleted then.",
        until_many="They stay there until {day}, and are deleted then.",
        ended_one="An attachment of this message ({size}) was kept in {product} until {day}. It is deleted.",
        ended_many=(
            "{count} attachments of this message ({size}) were kept in {product} until {day}. They are deleted."
        ),
        deleted="deleted",
        colleague=(
            "Forwarded to you? With your usual sign-in to {product} you can open every file that you have a right to."
        ),
        outsider=(
            "Not at {organisation}? A file opens only for people who can sign in to {product}. "
            "Please reply and ask for it."
        ),
        genuine="Genuine links always start with https://{host}/",
        help="Help: {desk}",
        letter_subject="Password for files of a message",
        letter_asks='The links in your message "{subject}" ask for this password:',
        letter_tell="Tell it by another way than the links, on the phone for instance.",
        letter_ends_subject="Links in your messages end soon",
        letter_ends="The links in these messages open until the day before each of them.",
        letter_last="To let a link last longer, open the page below its message.",
        letter_held_subject="Attachments that wait for a decision",
        letter_held=(
            "The attachments of these messages wait for a decision of those who look after {product}. "
            "Until then nothing changes in the messages. You need not do anything."
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
        until_one="Elle y reste jusqu'au {day}, puis elle est supprimée.",
        until_many="Elles y restent jusqu'au {day}, puis elles sont supprimées.",
        ended_one=(
            "Une pièce jointe de ce message ({size}) a été conservée dans {product} jusqu'au {day}. Elle est supprimée."
        ),
        ended_many=(
            "{count} pièces jointes de ce message ({size}) ont été conservées dans {product} jusqu'au {day}. "
            "Elles sont supprimées."
        ),
        deleted="supprimé",
        colleague=(
            "Ce message vous a été transféré\u00a0? Avec votre connexion habituelle à {product}, "
            "vous ouvrez tout fichier auquel vous avez droit."
        ),
        outsider=(
            "Vous n'êtes pas de {organisation}\u00a0? Il faut pouvoir se connecter à {product} pour ouvrir un fichier. "
            "Merci de répondre à ce message pour le demander."
        ),
        genuine="Les vrais liens commencent toujours par https://{host}/",
        help="Aide\u00a0: {desk}",
        letter_subject="Mot de passe pour les fichiers d'un message",
        letter_asks="Les liens de votre message «\u00a0{subject}\u00a0» demandent ce mot de passe\u00a0:",
        letter_tell="Transmettez-le par un autre moyen que les liens, par téléphone par exemple.",
        letter_ends_subject="Des liens dans vos messages prennent bientôt fin",
        letter_ends="Les liens de ces messages s'ouvrent jusqu'au jour indiqué devant chacun.",
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
        until="Opent tot",
        kept_one="Een bijlage van dit bericht ({size}) staat ongewijzigd in {product}.",
        kept_many="{count} bijlagen van dit bericht ({size}) staan ongewijzigd in {product}.",
        stays_one="Deze blijft daar zolang dit bericht bestaat.",
        stays_many="Ze blijven daar zolang dit bericht bestaat.",
        until_one="Deze blijft daar tot {day} en wordt dan verwijderd.",
        until_many="Ze blijven daar tot {day} en worden dan verwijderd.",
        ended_one="Een bijlage van dit bericht ({size}) stond tot {day} in {product}. Ze is verwijderd.",
        ended_many=("{count} bijlagen van dit bericht ({size}) stonden tot {day} in {product}. Ze zijn verwijderd."),
        deleted="verwijderd",
        colleague=(
            "Doorgestuurd gekregen? Met uw gebruikelijke aanmelding bij {product} opent u elk bestand "
            "waarop u recht hebt."
        ),
        outsider=(
            "Niet van {organisation}? Een bestand opent alleen voor wie zich bij {product} kan aanmelden. "
            "Antwoord op dit bericht en vraag erom."
        ),
        genuine="Echte links beginnen altijd met https://{host}/",
        help="Hulp: {desk}",
        letter_subject="Wachtwoord voor bestanden uit een bericht",
        letter_asks='De links in uw bericht "{subject}" vragen om dit wachtwoord:',
        letter_tell="Geef het langs een andere weg door dan de links, bijvoorbeeld per telefoon.",
        letter_ends_subject="Links in uw berichten lopen binnenkort af",
        letter_ends="De links in deze berichten openen tot de dag die ervoor staat.",
        letter_last="Wilt u een link langer laten openen, open dan de pagina onder het bericht.",
        letter_held_subject="Bijlagen die op een besluit wachten",
        letter_held=(
            "De bijlagen van deze berichten wachten op een besluit van wie {product} beheert. "
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
